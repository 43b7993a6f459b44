import type { Clock } from '../runtime/clock.ts';
import type { Ino } from '../posix/ino.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Random } from '../runtime/random.ts';
import { MetaError } from './engine.ts';
import { IdBatch } from './id-batch.ts';
import type { VolumeSetting } from './setting.ts';
import { DirQuotas } from './write/dir-quotas.ts';
import { LockKeeper } from './write/lock-keeper.ts';
import { OwnerQuotas } from './write/owner-quotas.ts';
import { OpenTable } from './write/open-table.ts';
import { type SliceRemover, Upkeep } from './write/upkeep.ts';
import { TrashHours } from './write/trash-hours.ts';
import type { VolumeRules } from './write/volume-rules.ts';
import { VolumeWriter } from './write/volume-writer.ts';
import { WriteRunner } from './write/write-runner.ts';
import type { IdCounter } from './write/meta-tx.ts';
import type { WritableEngine } from './writable-engine.ts';
import type { MetaWriter } from './writer.ts';

/** Ids per request, as other clients take them. */
const INODES_PER_BATCH = 1024;
const SLICES_PER_BATCH = 4096;
/** 0 is no inode, 1 is the root. */
const FIRST_INODE = 2n;
/** A directory that was touched less long ago is not touched for one name more or less. */
const SKIP_DIR_MTIME_MS = 100;

/** What a writer is given. */
export interface CreateWriterOptions {
  /** Started. */
  readonly engine: WritableEngine;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** This mount's session; undefined while it has none. */
  readonly sid: () => bigint | undefined;
  /** Default 100; 0: every change of a directory shows in its mtime. */
  readonly skipDirMtimeMs?: number;
  /** Told of files that are gone, whose data may be deleted at once; others do it later. */
  readonly onDeleted?: (ino: Ino, length: bigint) => void;
}

/** A writer, and the work behind the volume, which is to be started and stopped. */
export interface WriterWithUpkeep {
  readonly writer: MetaWriter;
  readonly upkeep: Upkeep;
}

/**
 * Makes what changes a volume.
 *
 * @throws MetaError `incompatible` when the volume must not be written by this release
 */
export async function createMetaWriter(
  options: CreateWriterOptions,
  signal: AbortSignal,
): Promise<MetaWriter> {
  return (await assemble(options, options.onDeleted ?? (() => undefined), signal)).writer;
}

/**
 * The same, with the work that some client of a volume must do: the data of deleted files is deleted
 * at once, and every hour what others have left.
 *
 * @param options - `objects` removes blocks
 * @throws MetaError `incompatible`
 */
export async function createWriterWithUpkeep(
  options: CreateWriterOptions & { readonly objects: SliceRemover },
  signal: AbortSignal,
): Promise<WriterWithUpkeep> {
  // Made with what the writer is made of, which tells it of files that are gone.
  const behind: { upkeep: Upkeep | undefined } = { upkeep: undefined };
  const onDeleted = (ino: Ino, length: bigint) => {
    options.onDeleted?.(ino, length);
    behind.upkeep?.noteDeleted(ino, length);
  };
  const { writer, runner } = await assemble(options, onDeleted, signal);
  const upkeep = new Upkeep({ ...options, runner });
  behind.upkeep = upkeep;
  return { writer, upkeep };
}

/** What administers the quotas of a volume. */
export interface Quotas {
  readonly dirs: DirQuotas;
  /** Of users and groups. */
  readonly owners: OwnerQuotas;
}

/**
 * Makes what administers the quotas of a volume.
 *
 * @throws MetaError `incompatible`
 */
export async function createQuotas(
  options: CreateWriterOptions,
  signal: AbortSignal,
): Promise<Quotas> {
  const { engine } = options;
  const { runner } = await assemble(options, () => undefined, signal);
  return { dirs: new DirQuotas(engine, runner), owners: new OwnerQuotas(engine, runner) };
}

async function assemble(
  options: CreateWriterOptions,
  onDeleted: (ino: Ino, length: bigint) => void,
  signal: AbortSignal,
): Promise<{ writer: MetaWriter; runner: WriteRunner }> {
  const { engine, clock, random, logger, sid } = options;
  const setting = await engine.loadSetting(signal);
  checkWritable(setting);
  await engine.transactions.checkWritable(signal);
  const open = new OpenTable({ sid, logger, onDeleted });
  const rules = await rulesOf(options, setting, signal);
  const runner = new WriteRunner({ ...options, open: open.counts, rules });
  open.useRunner(runner);
  const takeIds = async (counter: IdCounter, count: number, inTime: AbortSignal) => {
    runner.check();
    return await engine.transactions.takeIds(counter, count, inTime);
  };
  const writer = new VolumeWriter({
    ...{ engine, runner, open, onDeleted },
    trash: new TrashHours(runner, clock),
    locks: new LockKeeper({ runner, sid, clock, random }),
    inodes: new IdBatch({
      ...{ clock, count: INODES_PER_BATCH, first: FIRST_INODE },
      take: (count, inTime) => takeIds('nextInode', count, inTime),
    }),
    slices: new IdBatch({
      ...{ clock, count: SLICES_PER_BATCH, first: 1n },
      take: (count, inTime) => takeIds('nextChunk', count, inTime),
    }),
    refresh: async (inTime) => {
      const present = await loadSame(engine, setting, inTime).catch((error: unknown) => {
        if (isReplaced(error)) runner.retire(error);
        throw error;
      });
      checkWritable(present);
      runner.rules = await rulesOf(options, present, inTime);
      await open.dropClosed(inTime);
    },
  });
  return { writer, runner };
}

async function rulesOf(
  { engine, skipDirMtimeMs = SKIP_DIR_MTIME_MS }: CreateWriterOptions,
  setting: VolumeSetting,
  signal: AbortSignal,
): Promise<VolumeRules> {
  const { trashDays, capacityBytes, inodesMax, dirStats, enableAcl } = setting;
  return {
    ...{ trashDays, capacityBytes, inodesMax, dirStats, enableAcl, skipDirMtimeMs },
    hasDirQuotas: dirStats && (await engine.transactions.hasDirQuotas(signal)),
    ownerQuotas: setting.userGroupQuota,
  };
}

/** Whoever follows the change log would miss what we do: we do not keep it. */
function checkWritable({ changeLog }: VolumeSetting): void {
  if (!changeLog) return;
  const message = 'the volume keeps a change log (ChangeLog), which cachemesh does not write';
  throw new MetaError('incompatible', `${message}: mount it read-only`);
}

/** The database holds no volume any more, or another one. */
class ReplacedError extends MetaError {}

async function loadSame(
  engine: WritableEngine,
  before: VolumeSetting,
  signal: AbortSignal,
): Promise<VolumeSetting> {
  const present = await engine.loadSetting(signal);
  if (before.uuid === present.uuid) return present;
  throw new ReplacedError('incompatible', 'the database holds another volume now');
}

function isReplaced(error: unknown): error is MetaError {
  return (
    error instanceof ReplacedError || (error instanceof MetaError && error.code === 'no-volume')
  );
}
