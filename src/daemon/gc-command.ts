import Table from 'cli-table3';
import type { Command } from 'commander';
import { parseObjectKey } from '../block/object-key.ts';
import type { MetaScans } from '../meta/write/scans.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { ObjectInfo } from '../store/object-store.ts';
import { byteText } from './byte-text.ts';
import { Lanes } from './lanes.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { parseDuration, parseWhole } from './quantities.ts';
import { SliceBook } from './slice-book.ts';
import { tallyDisplay } from './tally-display.ts';
import { addOriginOptions, openToolVolume, type OriginOptions } from './tool-volume.ts';
import type { OpenVolume } from './volume.ts';
import { type CompactionState, VolumeCompaction } from './volume-compaction.ts';

interface GcOptions extends OriginOptions {
  readonly delete?: boolean;
  readonly compact?: boolean;
  readonly olderThan: string;
  readonly threads: string;
  readonly json?: boolean;
}

/** The metadata cannot be trusted with what is in use, or not everything could be done. */
export class GcError extends CodedError<'corrupt' | 'incomplete'> {}

/**
 * What an object is: in use, `pending`: its slice is deleted and its blocks go soon, `replaced`: it
 * waits like the trash, `leaked`: nothing knows it, `young`: nothing knows it yet, `foreign`: no block.
 */
type Fate = 'used' | 'pending' | 'replaced' | 'leaked' | 'young' | 'foreign';
type Known = Extract<Fate, 'used' | 'pending' | 'replaced'>;
type Tally = Record<Fate | 'deleted', { objects: number; bytes: number }>;

const THREADS_MAX = 1000;
const HOUR_MS = 3_600_000;

/** The options of `cachemesh gc`. */
export function describeGc(command: Command): void {
  command
    .description('find objects that nothing refers to; delete them, or compact files, when told to')
    .argument('<META-URL>')
    .option('--delete', 'delete what is leaked')
    .option('--compact', 'first make one slice of the many that small writes leave in a file')
    .option('--older-than <DURATION>', 'what is younger may be an upload under way', '1h')
    .option('-p, --threads <N>', 'deletions, and parts of files that are compacted, at once', '10')
    .option('--json', 'as JSON')
    .action((metaUrl: string, options: GcOptions) => gc(metaUrl, options));
  addOriginOptions(command);
}

async function gc(metaUrl: string, options: GcOptions): Promise<void> {
  const ageMs = parseDuration('--older-than', options.olderThan);
  const threads = parseWhole('--threads', options.threads, { min: 1, max: THREADS_MAX });
  const { tally, leaked, failed, compaction } = await runOneShot(async (context) => {
    if (ageMs < HOUR_MS && options.delete === true) {
      context.logger.warn({}, '--older-than: an upload under way may be older than that');
    }
    const display = tallyDisplay(process.stderr, options.json !== true);
    try {
      const volume = await openToolVolume(metaUrl, options, context);
      const run = new GcRun(volume, context, (text) => display.update(text));
      if (options.compact === true) await run.compact(threads);
      await run.scan(ageMs);
      if (options.delete === true) await run.deleteLeaked(threads);
      return run;
    } finally {
      display.end();
    }
  });
  const keys = leaked.map(({ key }) => key);
  const text =
    options.json === true
      ? JSON.stringify({ ...tally, keys, compaction }, undefined, 2)
      : `${compaction === undefined ? '' : `${compaction.compacted} chunks compacted\n`}${tableOf(tally)}`;
  process.stdout.write(`${text}\n`);
  if (failed > 0) throw new GcError('incomplete', `${failed} objects could not be deleted`);
  const { failed: uncompacted } = compaction ?? { failed: 0 };
  if (uncompacted > 0) throw new GcError('incomplete', `${uncompacted} chunks were not compacted`);
}

class GcRun {
  readonly #volume: OpenVolume;
  readonly #context: OneShot;
  readonly #show: (text: string) => void;
  readonly tally: Tally;
  readonly leaked: ObjectInfo[] = [];
  failed = 0;
  compaction: CompactionState | undefined;

  constructor(volume: OpenVolume, context: OneShot, show: (text: string) => void) {
    this.#volume = volume;
    this.#context = context;
    this.#show = show;
    const none = () => ({ objects: 0, bytes: 0 });
    this.tally = {
      ...{ used: none(), pending: none(), replaced: none(), leaked: none() },
      ...{ young: none(), foreign: none(), deleted: none() },
    };
  }

  async compact(lanes: number): Promise<void> {
    const compaction = new VolumeCompaction(this.#volume, this.#context, ({ compacted }) =>
      this.#show(`${compacted} chunks compacted`),
    );
    this.compaction = await compaction.run(lanes);
  }

  async scan(ageMs: number): Promise<void> {
    const { store, setting } = this.#volume;
    const { signal, clock } = this.#context;
    const before = clock.wallMs() - ageMs;
    const book = await this.#knownSlices();
    let seen = 0;
    for await (const object of store.list(`${setting.name}/chunks/`, signal)) {
      this.#show(`${(seen += 1)} objects seen`);
      const fate = this.#fateOf(object, book, before);
      this.#count(fate, object);
      if (fate === 'leaked') this.leaked.push(object);
    }
  }

  /** A list that moved while it was read may have hidden a slice: the metadata is asked once more. */
  async deleteLeaked(threads: number): Promise<void> {
    const { store } = this.#volume;
    const { signal, logger } = this.#context;
    const book = await this.#knownSlices();
    await new Lanes(threads, signal).spread(this.leaked, async (object) => {
      if (this.#fateOf(object, book, Number.POSITIVE_INFINITY) !== 'leaked') return;
      try {
        await store.delete(object.key, signal);
        this.#count('deleted', object);
      } catch (error) {
        if (signal.aborted) throw error;
        this.failed += 1;
        logger.warn({ key: object.key, error: String(error) }, 'an object could not be deleted');
      }
    });
  }

  #fateOf(object: ObjectInfo, book: SliceBook<Known>, before: number): Fate {
    const key = parseObjectKey(this.#volume.format.naming, object.key);
    if (key === undefined) return 'foreign';
    return book.kindOf(key) ?? (object.modifiedAtMs < before ? 'leaked' : 'young');
  }

  #count(fate: keyof Tally, { sizeBytes }: ObjectInfo): void {
    this.tally[fate].objects += 1;
    this.tally[fate].bytes += sizeBytes;
  }

  async #knownSlices(): Promise<SliceBook<Known>> {
    const { meta, setting } = this.#volume;
    return knownSlices(meta.scans, setting.blockBytes, this.#context.signal);
  }
}

/** @throws GcError when a list cannot be read: it may name any slice */
async function knownSlices(scans: MetaScans, blockBytes: number, signal: AbortSignal) {
  const book = new SliceBook<Known>(blockBytes);
  for await (const { ino, index, records } of scans.chunks(signal)) {
    if (records === undefined) {
      const message = `the slice list of part ${index} of inode ${ino} cannot be read`;
      throw new GcError('corrupt', `${message}: what is leaked cannot be told`);
    }
    for (const { sliceId, size } of records) if (sliceId > 0n) book.note(sliceId, size, 'used');
  }
  for (const { id, size } of await scans.waitingSlices(signal)) book.note(id, size, 'replaced');
  const unused = await scans.unusedSlices(Number.MAX_SAFE_INTEGER, signal);
  for (const { id, size } of unused) book.note(id, size, 'pending');
  return book;
}

const MEANINGS: Readonly<Record<keyof Tally, string>> = {
  used: 'in use',
  replaced: 'replaced, waiting as long as the trash does',
  pending: 'deleted, clients remove them soon',
  young: 'of no file, but too young to tell',
  foreign: 'no blocks of this volume, left alone',
  leaked: 'leaked',
  deleted: 'leaked and now deleted',
};

function tableOf(tally: Tally): string {
  const table = new Table({ head: ['objects', 'size', ''], colAligns: ['right', 'right', 'left'] });
  for (const [fate, meaning] of Object.entries(MEANINGS) as [keyof Tally, string][]) {
    const { objects, bytes } = tally[fate];
    table.push([objects, byteText(bytes), meaning]);
  }
  return table.toString();
}
