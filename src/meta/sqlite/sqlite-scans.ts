import type { Ino } from '../../posix/ino.ts';
import type { DelayedName, OwnerKind, SliceSize } from '../write/meta-tx.ts';
import type {
  DeletedFile,
  DirQuotaAt,
  MetaScans,
  OwnerQuotaAt,
  StoredChunk,
  VolumeCounters,
} from '../write/scans.ts';
import type { SqliteLink } from './sqlite-link.ts';

const VOLUME = 'volume';
const CHUNKS_PER_PAGE = 1000;

/** What background work looks for. */
export class SqliteScans implements MetaScans {
  readonly #link: SqliteLink;

  constructor(link: SqliteLink) {
    this.#link = link;
  }

  deletedFiles(before: number, limit: number, signal: AbortSignal): Promise<DeletedFile[]> {
    return this.#link.run('deletedFiles', [before, limit], { target: VOLUME, signal });
  }

  chunkIndexes({ ino }: DeletedFile, signal: AbortSignal): Promise<number[]> {
    return this.#link.run('chunkIndexes', [ino], { target: ino, signal });
  }

  unusedSlices(limit: number, signal: AbortSignal): Promise<SliceSize[]> {
    return this.#link.run('unusedSlices', [limit], { target: VOLUME, signal });
  }

  delayedSlices(before: number, limit: number, signal: AbortSignal): Promise<DelayedName[]> {
    return this.#link.run('delayedSlices', [before, limit], { target: VOLUME, signal });
  }

  staleSessions(now: number, limit: number, signal: AbortSignal): Promise<bigint[]> {
    return this.#link.run('staleSessions', [now, limit], { target: VOLUME, signal });
  }

  sustained(sid: bigint, signal: AbortSignal): Promise<Ino[]> {
    return this.#link.run('sustained', [sid], { target: sid, signal });
  }

  async *chunks(signal: AbortSignal): AsyncIterable<StoredChunk> {
    let after = 0n;
    for (;;) {
      const args: [bigint, number] = [after, CHUNKS_PER_PAGE];
      const page = await this.#link.run('chunksAfter', args, { target: VOLUME, signal });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < CHUNKS_PER_PAGE) return;
      after = last.row;
    }
  }

  waitingSlices(signal: AbortSignal): Promise<SliceSize[]> {
    return this.#link.run('waitingSlices', [], { target: VOLUME, signal });
  }

  dirQuotas(signal: AbortSignal): Promise<DirQuotaAt[]> {
    return this.#link.run('dirQuotas', [], { target: VOLUME, signal });
  }

  ownerQuotas(kind: OwnerKind, signal: AbortSignal): Promise<OwnerQuotaAt[]> {
    return this.#link.run('ownerQuotas', [kind], { target: VOLUME, signal });
  }

  counters(signal: AbortSignal): Promise<VolumeCounters> {
    return this.#link.run('counters', [], { target: VOLUME, signal });
  }

  dropLocks(sid: bigint, signal: AbortSignal): Promise<void> {
    return this.#link.run('dropLocks', [sid], { target: sid, signal });
  }
}
