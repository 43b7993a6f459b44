import { type BlockKey, blockIdOf } from '../block/block-key.ts';
import { CHUNK_BYTES } from '../block/geometry.ts';
import type { NodeId } from '../block/node-id.ts';
import { objectKeyOf } from '../block/object-key.ts';
import type { SliceRecord } from '../block/slice-record.ts';
import type { GroupRing } from '../mesh/group-ring.ts';
import type { MetaReader } from '../meta/engine.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { BlockHandler, HeldIn, Membership, PeerClient } from '../peer/block-exchange.ts';
import { FileType, modeOf } from '../posix/attr.ts';
import type { Ino } from '../posix/ino.ts';

/** Blocks that one report looks up at most; a longer file is reported up to there. */
const BLOCKS_MAX = 10_000;

/** What `cachemesh info` shows. */
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
  readonly owner: NodeId | undefined;
  readonly heldBy: readonly { node: NodeId | 'this node'; tier: 'memory' | 'disk' }[];
}

/** What a report is made from. */
export interface FileReportParts {
  readonly meta: MetaReader;
  readonly setting: VolumeSetting;
  readonly local: BlockHandler;
  /** Undefined outside a cache group. */
  readonly group: { ring: GroupRing; membership: Membership; client: PeerClient } | undefined;
}

/** @returns undefined when there is no such inode */
export async function reportFile(
  parts: FileReportParts,
  ino: Ino,
  signal: AbortSignal,
): Promise<FileReport | undefined> {
  const attr = await parts.meta.getattr(ino, signal);
  if (attr === undefined) return undefined;
  const slices = attr.type === FileType.file ? await slicesOf(parts, ino, attr.length, signal) : [];
  const keys = blocksOf(slices, parts.setting.blockBytes);
  const typeName = Object.entries(FileType).find(([, type]) => type === attr.type)?.[0] ?? '';
  return {
    ino: ino.toString(),
    type: typeName,
    length: attr.length.toString(),
    mode: modeOf(attr).toString(8),
    uid: attr.uid,
    gid: attr.gid,
    mtime: `${attr.mtime.seconds}.${String(attr.mtime.nanoseconds).padStart(9, '0')}`,
    slices: slices.map((slice) => ({ ...slice, sliceId: slice.sliceId.toString() })),
    blocks: await holdersOf(parts, keys, signal),
  };
}

async function slicesOf(parts: FileReportParts, ino: Ino, length: bigint, signal: AbortSignal) {
  const chunks = Number((length + BigInt(CHUNK_BYTES) - 1n) / BigInt(CHUNK_BYTES));
  const slices: (SliceRecord & { chunk: number })[] = [];
  for (let chunk = 0; chunk < chunks && slices.length < BLOCKS_MAX; chunk += 1) {
    const records = await parts.meta.readChunk(ino, chunk, signal);
    slices.push(...records.map((record) => ({ ...record, chunk })));
  }
  return slices;
}

function blocksOf(slices: readonly SliceRecord[], blockBytes: number): BlockKey[] {
  const keys = new Map<string, BlockKey>();
  for (const { sliceId, size } of slices) {
    if (sliceId === 0n) continue;
    for (let index = 0; index * blockBytes < size && keys.size < BLOCKS_MAX; index += 1) {
      const sizeBytes = Math.min(blockBytes, size - index * blockBytes);
      const key = { sliceId, index, sizeBytes };
      keys.set(blockIdOf(key), key);
    }
  }
  return [...keys.values()];
}

async function holdersOf(parts: FileReportParts, keys: readonly BlockKey[], signal: AbortSignal) {
  const { group, setting } = parts;
  const naming = { volumeName: setting.name, hashPrefix: setting.hashPrefix };
  const ids = keys.map(blockIdOf);
  const others = group?.membership.current().members.map(({ nodeId }) => nodeId) ?? [];
  const asked = others.filter((node) => node !== group?.ring.self);
  const answers = await Promise.all(
    asked.map(async (node) => ({ node, tiers: await askHolds(group?.client, node, ids, signal) })),
  );
  const self = parts.local.holds(ids);
  return keys.map((key, at) => {
    const heldBy = [{ node: 'this node' as const, tiers: self }, ...answers].flatMap((answer) => {
      const tier = answer.tiers[at];
      return tier === undefined ? [] : [{ node: answer.node, tier }];
    });
    const object = objectKeyOf(naming, key);
    const owner = group?.ring.owners(ids[at] as (typeof ids)[number], 1)[0];
    return { object, sizeBytes: key.sizeBytes, owner, heldBy };
  });
}

/** A member that does not answer is shown as holding nothing: the report is about now. */
async function askHolds(
  client: PeerClient | undefined,
  node: NodeId,
  ids: readonly ReturnType<typeof blockIdOf>[],
  signal: AbortSignal,
): Promise<HeldIn[]> {
  try {
    return (await client?.holds(node, ids, signal)) ?? [];
  } catch {
    return [];
  }
}
