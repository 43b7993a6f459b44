import type { Piece } from '../../block/read-plan.ts';
import type { Nodes } from '../nodes.ts';
import type { Ticket } from '../open-file.ts';
import type { OpenFiles } from '../open-files.ts';
import type { PlanCache } from '../plan-cache.ts';
import type { MetadataMemory } from './cache-job.ts';
import type { FoundNode } from './tree-walk.ts';

/** What the memory is kept in. */
export interface MemoryParts {
  readonly files: OpenFiles;
  readonly plans: PlanCache;
  readonly nodes: Nodes;
  /** Files that are remembered at most, as for opened ones; 0 = any number. */
  readonly filesMax: number;
  /** Pieces up to which warming up fills the cache of plans. */
  readonly piecesMax: number;
}

/**
 * Puts slice lists and symlink targets where later opens and reads look for them, but only into free
 * room: what programs really use is not displaced.
 */
export class VfsMetadataMemory implements MetadataMemory {
  readonly #parts: MemoryParts;

  constructor(parts: MemoryParts) {
    this.#parts = parts;
  }

  ticket(): Ticket {
    return this.#parts.files.ticket();
  }

  pieces(
    { ino, attr, ticket }: FoundNode,
    index: number,
    signal: AbortSignal,
  ): Promise<readonly Piece[]> | undefined {
    const { files, plans, filesMax, piecesMax } = this.#parts;
    const isFull = filesMax > 0 && files.size >= filesMax && files.find(ino) === undefined;
    if (isFull || plans.pieces >= piecesMax) return undefined;
    const file = files.open(ino, attr, ticket);
    const { version } = file;
    return plans.load(version, index, signal).finally(() => files.close(file, version));
  }

  async symlink({ ino }: FoundNode, signal: AbortSignal): Promise<void> {
    const { nodes, filesMax } = this.#parts;
    if (filesMax > 0 && nodes.symlinks >= filesMax) return;
    await nodes.readlink({ uid: 0, gid: 0, pid: 0, signal }, ino);
  }
}
