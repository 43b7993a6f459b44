import { type BlockId, blockIdOf } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { SliceRecord } from '../block/slice-record.ts';
import type { BlockServer } from '../mesh/block-server.ts';
import type { GroupRing } from '../mesh/group-ring.ts';
import type { HeldIn, Membership, PeerClient } from '../peer/block-exchange.ts';
import { FileType, modeOf } from '../posix/attr.ts';
import type { Logger } from '../runtime/logger.ts';
import type { BlockInfo, NodeInfo } from '../vfs/node-info.ts';

/** Blocks that one report looks up at most; a longer file is reported up to there. */
const BLOCKS_MAX = 10_000;

/** What `cachemesh info` shows. Numbers that may pass 2^53 are decimal text. */
export interface FileReport {
  readonly ino: string;
  readonly type: string;
  readonly length: string;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
  readonly slices: readonly (Omit<SliceRecord, 'sliceId'> & { chunk: number; sliceId: string })[];
  readonly blocks: readonly BlockReport[];
}

/** One object of a file. */
export interface BlockReport {
  readonly object: string;
  readonly sizeBytes: number;
  /** Undefined outside a cache group. */
  readonly owner: NodeId | undefined;
  readonly heldBy: readonly { node: NodeId | 'this node'; tier: 'memory' | 'disk' }[];
}

/** Who can say which blocks are held where. */
export interface Holders {
  readonly local: Pick<BlockServer, 'holds'>;
  /** Undefined outside a cache group. */
  readonly group: { ring: GroupRing; membership: Membership; client: PeerClient } | undefined;
  readonly logger: Logger;
}

/** Turns what the vfs knows of an inode into a report, and asks the group who holds its blocks. */
export async function reportFile(
  node: NodeInfo,
  holders: Holders,
  signal: AbortSignal,
): Promise<FileReport> {
  const { attr, ino } = node;
  const slices: FileReport['slices'][number][] = [];
  const blocks: BlockInfo[] = [];
  for await (const chunk of node.chunks) {
    for (const record of chunk.records) {
      slices.push({ chunk: chunk.index, ...record, sliceId: record.sliceId.toString() });
    }
    blocks.push(...chunk.blocks);
    if (blocks.length >= BLOCKS_MAX) break;
  }
  return {
    ino: ino.toString(),
    type: Object.entries(FileType).find(([, type]) => type === attr.type)?.[0] ?? '',
    length: attr.length.toString(),
    mode: modeOf(attr).toString(8),
    uid: attr.uid,
    gid: attr.gid,
    mtime: `${attr.mtime.seconds}.${String(attr.mtime.nanoseconds).padStart(9, '0')}`,
    slices,
    blocks: await holdersOf(blocks.slice(0, BLOCKS_MAX), holders, signal),
  };
}

async function holdersOf(blocks: readonly BlockInfo[], holders: Holders, signal: AbortSignal) {
  const { group, local } = holders;
  const ids = blocks.map(({ key }) => blockIdOf(key));
  const members = group?.membership.current().members.map(({ nodeId }) => nodeId) ?? [];
  const others = members.filter((node) => node !== group?.ring.self);
  const answers = await Promise.all(
    others.map(async (node) => ({ node, tiers: await askHolds(holders, node, ids, signal) })),
  );
  const self = { node: 'this node' as const, tiers: local.holds(ids) };
  return blocks.map(({ key, objectKey }, at) => {
    const heldBy = [self, ...answers].flatMap(({ node, tiers }) => {
      const tier = tiers[at];
      return tier === undefined ? [] : [{ node, tier }];
    });
    const owner = group?.ring.owners(blockIdOf(key), 1)[0];
    return { object: objectKey, sizeBytes: key.sizeBytes, owner, heldBy };
  });
}

/** A member that does not answer is shown as holding nothing: the report is about now. */
async function askHolds(
  { group, logger }: Holders,
  node: NodeId,
  ids: readonly BlockId[],
  signal: AbortSignal,
): Promise<HeldIn[]> {
  try {
    return (await group?.client.holds(node, ids, signal)) ?? [];
  } catch (error) {
    logger.warn({ node, error: String(error) }, 'a member did not say what it holds');
    return [];
  }
}
