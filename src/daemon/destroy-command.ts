import type { Command } from 'commander';
import type { SessionRecord } from '../meta/session.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { StoreError } from '../store/object-store.ts';
import { byteText } from './byte-text.ts';
import { isConfirmed } from './confirm.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { parseWhole, UsageError } from './quantities.ts';
import { tallyDisplay } from './tally-display.ts';
import { openMeta, openSettings } from './tool-meta.ts';
import { addOriginOptions, type OriginOptions } from './tool-volume.ts';
import { type DestructionState, VolumeDestruction } from './volume-destruction.ts';

interface DestroyOptions extends OriginOptions {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly threads: string;
  readonly json?: boolean;
}

/** `in-use`: somebody has the volume mounted; `incomplete`: objects are left, and the metadata. */
export class DestroyError extends CodedError<'in-use' | 'incomplete'> {}

const THREADS_MAX = 1000;

/** The options of `cachemesh destroy`. */
export function describeDestroy(command: Command): void {
  command
    .description('delete all objects of a volume, then its metadata; this cannot be undone')
    .argument('<META-URL>')
    .argument('<UUID>', "the volume's, as `cachemesh status META-URL` shows it")
    .option('-y, --yes', 'do not ask')
    .option('--force', 'also when it is mounted, or its bucket is gone')
    .option('-p, --threads <N>', 'deletions at once', '10')
    .option('--json', 'as JSON')
    .action((metaUrl: string, uuid: string, options: DestroyOptions) =>
      destroy(metaUrl, uuid, options),
    );
  addOriginOptions(command);
}

/** @throws UsageError, DestroyError, MetaError, StoreError */
async function destroy(metaUrl: string, uuid: string, options: DestroyOptions): Promise<void> {
  const threads = parseWhole('--threads', options.threads, { min: 1, max: THREADS_MAX });
  const { setting, state } = await runOneShot(async (context) => {
    const { signal } = context;
    const settings = openSettings(metaUrl, context);
    const before = await settings.load(signal);
    if (before === undefined) throw new UsageError(`${settings.displayUrl} holds no volume`);
    const meta = await openMeta(metaUrl, context);
    const setting = withOrigin(await meta.loadSetting(signal), options);
    if (setting.uuid !== uuid) {
      throw new UsageError(`UUID: ${uuid} is not that of the volume ${setting.name} there`);
    }
    const destruction = await VolumeDestruction.open(setting, context);
    if (options.force !== true) {
      await checkUnused(meta, context);
      await destruction.check();
      await confirm({ meta, setting, destruction, isAnswered: options.yes === true }, context);
      // Thinking takes time.
      await checkUnused(meta, context);
    }
    await deleteObjects(destruction, { ...options, threads }, context);
    await settings.remove(before, signal);
    return { setting, state: destruction.state };
  });
  const done = { name: setting.name, uuid: setting.uuid, objects: state };
  const text = options.json === true ? JSON.stringify(done, undefined, 2) : textOf(setting, state);
  process.stdout.write(`${text}\n`);
}

/** @throws DestroyError, StoreError: the metadata must stay */
async function deleteObjects(
  destruction: VolumeDestruction,
  options: Pick<DestroyOptions, 'force' | 'json'> & { readonly threads: number },
  { logger }: OneShot,
): Promise<void> {
  const display = tallyDisplay(process.stderr, options.json !== true);
  try {
    if (options.force === true) await destruction.check({ mayBeUnmarked: true });
    await destruction.run(options.threads, ({ deleted, bytes }) =>
      display.update(`${deleted} objects deleted (${byteText(bytes)})`),
    );
  } catch (error) {
    const isSkipped = options.force === true && error instanceof StoreError;
    if (!isSkipped || error.code !== 'bad-config') throw error;
    logger.warn({ error: error.message }, 'no object is deleted');
  } finally {
    display.end();
  }
  const { failed } = destruction.state;
  if (failed === 0) return;
  const message = `${failed} objects could not be deleted; the metadata stays, so that it can be begun again`;
  throw new DestroyError('incomplete', message);
}

function withOrigin(stored: VolumeSetting, { storage, bucket }: OriginOptions): VolumeSetting {
  return {
    ...stored,
    storage: storage?.toLowerCase() ?? stored.storage,
    bucket: bucket ?? stored.bucket,
  };
}

/** @throws DestroyError when a session has not expired */
async function checkUnused(meta: WritableEngine, { clock, signal }: OneShot): Promise<void> {
  const now = clock.wallMs();
  const active = (await meta.listSessions(signal)).filter(({ expiresAtMs }) => expiresAtMs >= now);
  if (active.length === 0) return;
  const names = active.map(sessionText).join('\n');
  throw new DestroyError('in-use', `the volume is mounted, unmount it first:\n${names}`);
}

function sessionText({ sid, info }: SessionRecord): string {
  return `session ${sid}: ${info?.HostName ?? 'unknown host'}, ${info?.MountPoint ?? ''}`;
}

interface Question {
  readonly meta: WritableEngine;
  readonly setting: VolumeSetting;
  readonly destruction: VolumeDestruction;
  /** By `--yes`. */
  readonly isAnswered: boolean;
}

/** @throws UsageError when the answer is not yes */
async function confirm(question: Question, { signal }: OneShot): Promise<void> {
  const { meta, setting, destruction, isAnswered } = question;
  if (isAnswered) return;
  const { usedBytes, inodes } = await meta.usage(signal);
  const lines = [
    `volume ${setting.name}, UUID ${setting.uuid}`,
    `objects:  ${destruction.displayName}`,
    `metadata: ${meta.displayUrl}`,
    `${byteText(Number(usedBytes))} in ${inodes} files and directories`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  const isSure = await isConfirmed('All of it will be deleted for ever. Go on?');
  if (!isSure) throw new UsageError('nothing was deleted');
}

function textOf({ name }: VolumeSetting, state: DestructionState): string {
  const { deleted, bytes, foreign, foreignKeys } = state;
  const done = `the volume ${name} is destroyed: ${deleted} objects deleted (${byteText(bytes)})`;
  if (foreign === 0) return done;
  const more = foreign > foreignKeys.length ? ', …' : '';
  return `${done}\n${foreign} objects in its folder are not of a volume and stay: ${foreignKeys.join(', ')}${more}`;
}
