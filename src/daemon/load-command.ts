import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import { createVolumeLoader } from '../meta/create-engine.ts';
import { changeSetting } from '../meta/new-setting.ts';
import { MetaError } from '../meta/engine.ts';
import { parseSetting } from '../meta/parse-setting.ts';
import { printSetting, readSettingText } from '../meta/setting-text.ts';
import type { LoadRecord, VolumeLoader } from '../meta/volume-loader.ts';
import { DumpReader } from './dump-reader.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { readPlain } from './plain-bytes.ts';
import { tallyDisplay } from './tally-display.ts';
import { openSettings } from './tool-meta.ts';
import { VolumeLoad } from './volume-load.ts';

interface LoadOptions {
  readonly json?: boolean;
}

/** Records per transaction, about. */
const BATCH = 1000;
const SECRET_FLAGS: Readonly<Record<string, string>> = {
  SecretKey: '--secret-key',
  SessionToken: '--session-token',
};

/** The options of `cachemesh load`. */
export function describeLoad(command: Command): void {
  command
    .description('make a volume in an empty database from a dump of cachemesh or juicefs (JSON)')
    .argument('<META-URL>')
    .argument('[FILE]', 'as it is, gzip or zstd (default: standard input)')
    .option('--json', 'as JSON')
    .action((metaUrl: string, file: string | undefined, options: LoadOptions) =>
      load(metaUrl, file, options),
    );
}

/** @throws DumpError, MetaError, the system's errors */
async function load(
  metaUrl: string,
  file: string | undefined,
  options: LoadOptions,
): Promise<void> {
  const done = await runOneShot(async (context) => {
    await checkNoVolume(metaUrl, context);
    const loader = createVolumeLoader(metaUrl, context);
    context.shutdown.push('database', () => loader.close());
    const source = file === undefined ? process.stdin : createReadStream(file);
    const display = tallyDisplay(process.stderr, file !== undefined && options.json !== true);
    const work = new VolumeLoad(context.logger);
    try {
      await loader.begin(context.signal);
      const show = () => {
        const of = work.head.expected > 0n ? ` of ${work.head.expected}` : '';
        display.update(`${work.loaded}${of} files and directories`);
      };
      await orAbandon(loader, () => run({ source, loader, work, show }, context));
    } finally {
      display.end();
      source.destroy();
    }
    return { head: work.head, loaded: work.loaded };
  });
  const { head, loaded } = done;
  const { name, uuid } = parseSetting(printSetting(head.setting));
  const text = `the volume ${name} is loaded: ${loaded} files and directories`;
  const json = { name, uuid, loaded, removedSecrets: head.removedSecrets };
  process.stdout.write(`${options.json === true ? JSON.stringify(json) : text}\n`);
  const missing = head.removedSecrets.flatMap((secret) => SECRET_FLAGS[secret] ?? []);
  if (missing.length === 0) return;
  const flags = missing.map((flag) => `${flag} …`).join(' ');
  process.stderr.write(
    `cachemesh: the dump is without secrets of the object store; set them: cachemesh config META-URL ${flags}\n`,
  );
}

/** @throws MetaError `refused` that names the volume */
async function checkNoVolume(metaUrl: string, context: OneShot): Promise<void> {
  const settings = openSettings(metaUrl, context);
  const stored = await settings.load(context.signal);
  await settings.close();
  if (stored === undefined) return;
  const { Name: name } = readSettingText(stored);
  throw new MetaError('refused', `${settings.displayUrl} holds the volume ${String(name)} already`);
}

interface Run {
  readonly source: AsyncIterable<Uint8Array>;
  readonly loader: VolumeLoader;
  readonly work: VolumeLoad;
  readonly show: () => void;
}

async function run({ source, loader, work, show }: Run, context: OneShot): Promise<void> {
  const { signal, clock, random } = context;
  const reader = new DumpReader(work);
  const put = async (records: readonly LoadRecord[]) => {
    for (let first = 0; first < records.length; first += BATCH) {
      await loader.put(records.slice(first, first + BATCH), signal);
    }
  };
  await readPlain(
    source,
    async (bytes) => {
      reader.write(bytes);
      await put(work.take());
      show();
    },
    signal,
  );
  reader.end();
  const seconds = Math.floor(clock.wallMs() / 1000);
  const { records, counters } = work.end({ seconds, nanoseconds: 0 });
  await put(records);
  const setting = printSetting(changeSetting(work.head.setting, {}, random));
  await loader.finish(setting, counters, signal);
}

/** Leaves the database as empty as it was when the work fails. */
async function orAbandon(loader: VolumeLoader, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    try {
      // The command's own signal may be why. Each call of it has a deadline.
      await loader.abandon(new AbortController().signal);
    } catch (reason) {
      const message = `${(error as Error).message}; what was loaded is still there: ${(reason as Error).message}`;
      throw new MetaError('refused', message, { cause: error });
    }
    throw error;
  }
}
