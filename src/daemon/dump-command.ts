import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import type { Command } from 'commander';
import { type OneShot, runOneShot } from './one-shot.ts';
import { tallyDisplay } from './tally-display.ts';
import { openMeta } from './tool-meta.ts';
import { VolumeDump } from './volume-dump.ts';
import { findSubdir } from './volume.ts';

interface DumpOptions {
  readonly subdir?: string;
  readonly keepSecretKey?: boolean;
  readonly skipTrash?: boolean;
}

/** It may hold the key for data encryption. */
const FILE_MODE = 0o600;

/** The options of `cachemesh dump`. */
export function describeDump(command: Command): void {
  command
    .description('write the metadata of a volume in the JSON format of juicefs dump')
    .argument('<META-URL>')
    .argument('[FILE]', 'ending in .gz: compressed (default: standard output)')
    .option('--subdir <PATH>', 'only a directory')
    .option('--keep-secret-key', 'with the secrets of the object store')
    .option('--skip-trash', 'without what is in the trash')
    .action((metaUrl: string, file: string | undefined, options: DumpOptions) =>
      dump(metaUrl, file, options),
    );
}

async function dump(metaUrl: string, file: string | undefined, options: DumpOptions) {
  await runOneShot(async (context) => {
    const { signal, clock } = context;
    const meta = await openMeta(metaUrl, context);
    const root = await findSubdir(meta, options.subdir);
    const display = tallyDisplay(process.stderr, file !== undefined);
    const volume = new VolumeDump({
      ...{ meta, root, signal, nowSeconds: Math.floor(clock.wallMs() / 1000) },
      keepSecretKey: options.keepSecretKey === true,
      skipTrash: options.skipTrash === true,
      onDumped: (count) => display.update(`${count} files and directories`),
    });
    try {
      const text = Readable.from(volume.text());
      if (file === undefined) await pipeline(text, process.stdout, { signal, end: false });
      else await writeWhole(text, file, context);
    } finally {
      display.end();
    }
  });
}

/** Nobody sees the file before it is whole. */
async function writeWhole(text: Readable, file: string, { signal }: OneShot): Promise<void> {
  const unfinished = `${file}.tmp`;
  const output = createWriteStream(unfinished, { mode: FILE_MODE, flush: true });
  try {
    if (file.endsWith('.gz')) {
      const gzip = createGzip({ level: constants.Z_BEST_SPEED });
      await pipeline(text, gzip, output, { signal });
    } else await pipeline(text, output, { signal });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
