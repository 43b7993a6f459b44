import type { BlockKey } from '../block/block-key.ts';
import { CHUNK_BYTES } from '../block/geometry.ts';
import { namingOf, objectKeyOf } from '../block/object-key.ts';
import { type Piece, planRead, resolveSlices } from '../block/read-plan.ts';
import type { SliceRecord } from '../block/slice-record.ts';
import type { MetaReader } from '../meta/engine.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import { type Attr, FileType } from '../posix/attr.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';

/** A block that a chunk uses. */
export interface BlockInfo {
  readonly key: BlockKey;
  /** Full object key in the origin. */
  readonly objectKey: string;
}

/** One chunk of a file. */
export interface ChunkInfo {
  readonly index: number;
  /** As stored, oldest first. */
  readonly records: readonly SliceRecord[];
  readonly pieces: readonly Piece[];
  /** Blocks that hold visible bytes of the file, each once, in the order of their use. */
  readonly blocks: readonly BlockInfo[];
}

/** What is known of an inode. */
export interface NodeInfo {
  readonly ino: Ino;
  readonly attr: Attr;
  readonly parents: readonly Ino[];
  /** Chunks of a file, fetched one by one; empty for anything else. */
  readonly chunks: AsyncIterable<ChunkInfo>;
}

/**
 * @param ino - the volume's inode number
 * @throws FsError ENOENT; what the engine throws
 */
export async function nodeInfo(
  meta: MetaReader,
  setting: VolumeSetting,
  ino: Ino,
  signal: AbortSignal,
): Promise<NodeInfo> {
  const attr = await meta.getattr(ino, signal);
  if (attr === undefined) throw new FsError('ENOENT', `no inode ${ino}`);
  const parents = attr.parent === 0n ? await meta.parents(ino, signal) : [attr.parent];
  return { ino, attr, parents, chunks: chunksOf({ meta, setting, ino, attr }, signal) };
}

async function* chunksOf(
  from: { meta: MetaReader; setting: VolumeSetting; ino: Ino; attr: Attr },
  signal: AbortSignal,
): AsyncIterable<ChunkInfo> {
  const { meta, setting, ino, attr } = from;
  if (attr.type !== FileType.file) return;
  const length = Number(attr.length);
  for (let index = 0; index * CHUNK_BYTES < length; index += 1) {
    const records = await meta.readChunk(ino, index, signal);
    const pieces = resolveSlices(records);
    const range = { offset: 0, length: Math.min(CHUNK_BYTES, length - index * CHUNK_BYTES) };
    yield { index, records, pieces, blocks: blocksOf(pieces, range, setting) };
  }
}

function blocksOf(
  pieces: readonly Piece[],
  range: { offset: number; length: number },
  setting: VolumeSetting,
): BlockInfo[] {
  const naming = namingOf(setting);
  const blocks = new Map<string, BlockInfo>();
  for (const { key } of planRead(pieces, range, setting.blockBytes)) {
    if (key === undefined) continue;
    const objectKey = objectKeyOf(naming, key);
    blocks.set(objectKey, { key, objectKey });
  }
  return [...blocks.values()];
}
