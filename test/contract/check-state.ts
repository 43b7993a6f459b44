import { FileType } from '../../src/posix/attr.ts';
import type { VolumeState } from './volume-state.ts';

const ROOT = 1n;
const TRASH = 0x7fff_ffff_1000_0000n;
const UNIT = 4096n;

/** Everything in which a volume contradicts itself; empty when nothing does. */
export function contradictions(state: VolumeState): string[] {
  return [
    ...names(state),
    ...linkCounts(state),
    ...parents(state),
    ...counters(state),
    ...directoryStats(state),
    ...quotas(state),
    ...leftovers(state),
    ...references(state),
  ];
}

function spaceOf(type: number, length: bigint): bigint {
  if (type !== FileType.file || length === 0n) return UNIT;
  return ((length + UNIT - 1n) / UNIT) * UNIT;
}

function names({ edges, nodes }: VolumeState): string[] {
  return edges.flatMap(({ parent, name, ino, type }) => {
    const node = nodes.get(ino);
    const where = `${parent}/${name} → ${ino}`;
    if (node === undefined) return [`${where}: there is no such inode`];
    if (!nodes.has(parent)) return [`${where}: there is no such directory`];
    return node.type === type ? [] : [`${where}: type ${type}, but the inode has ${node.type}`];
  });
}

function linkCounts({ edges, nodes, sustained }: VolumeState): string[] {
  const kept = new Set(sustained.map((item) => BigInt(item.split(' ')[1] ?? '0')));
  return [...nodes].flatMap(([ino, { type, nlink }]) => {
    if (ino >= TRASH) return [];
    const own = edges.filter((edge) => edge.ino === ino).length;
    const isDirectory = type === FileType.directory;
    const subdirs = edges.filter(
      (edge) => edge.parent === ino && edge.type === FileType.directory,
    ).length;
    const wanted = isDirectory ? 2 + subdirs : own;
    const found: string[] = nlink === wanted ? [] : [`inode ${ino}: nlink ${nlink}, not ${wanted}`];
    if (ino !== ROOT && own === 0 && !kept.has(ino)) found.push(`inode ${ino} has no name`);
    if (isDirectory && own > 1) found.push(`directory ${ino} has ${own} names`);
    return found;
  });
}

function parents({ edges, nodes, links }: VolumeState): string[] {
  const found: string[] = [];
  for (const [ino, { parent, nlink }] of nodes) {
    if (ino === ROOT || ino === TRASH || nlink === 0) continue;
    const counts = new Map<bigint, number>();
    for (const edge of edges) {
      if (edge.ino === ino) counts.set(edge.parent, (counts.get(edge.parent) ?? 0) + 1);
    }
    if (parent !== 0n && !counts.has(parent)) found.push(`inode ${ino}: parent ${parent}`);
    if (parent !== 0n && counts.size > 1) found.push(`inode ${ino}: one parent of ${counts.size}`);
    if (parent !== 0n || links === undefined) continue;
    const stored = [...(links.get(ino) ?? [])].filter(([, count]) => count !== 0);
    if (text(stored) !== text([...counts])) {
      found.push(`inode ${ino}: parents ${text(stored)}, not ${text([...counts])}`);
    }
  }
  for (const ino of links?.keys() ?? []) {
    if (!nodes.has(ino)) found.push(`parents of inode ${ino}, which is gone`);
  }
  return found;
}

function text(pairs: readonly (readonly [bigint, number])[]): string {
  return pairs
    .map(([ino, count]) => `${ino}:${count}`)
    .sort()
    .join(' ');
}

function counters({ nodes, usedSpace, totalInodes }: VolumeState): string[] {
  const counted = [...nodes].filter(([ino]) => ino !== ROOT && ino !== TRASH);
  const space = counted.reduce((sum, [, { type, length }]) => sum + spaceOf(type, length), 0n);
  const found: string[] = [];
  if (usedSpace !== space) found.push(`usedSpace ${usedSpace}, not ${space}`);
  if (totalInodes !== BigInt(counted.length)) {
    found.push(`totalInodes ${totalInodes}, not ${counted.length}`);
  }
  return found;
}

function directoryStats({ nodes, edges, dirStats }: VolumeState): string[] {
  const found: string[] = [];
  for (const [ino, { type, parent }] of nodes) {
    const stats = dirStats.get(ino);
    if (type !== FileType.directory || ino === TRASH) continue;
    const inTrash = parent > TRASH;
    if (stats === undefined) {
      if (ino !== ROOT && !inTrash) found.push(`no statistics of directory ${ino}`);
      continue;
    }
    const children = edges.filter((edge) => edge.parent === ino);
    const sums = children.map((edge) => {
      const node = nodes.get(edge.ino);
      const length = node?.type === FileType.file ? node.length : 0n;
      return { length, space: spaceOf(edge.type, length) };
    });
    const length = sums.reduce((sum, child) => sum + child.length, 0n);
    const space = sums.reduce((sum, child) => sum + child.space, 0n);
    const wanted = `${length} ${space} ${children.length}`;
    const stored = `${stats.length} ${stats.space} ${stats.inodes}`;
    if (wanted !== stored) found.push(`statistics of ${ino}: ${stored}, not ${wanted}`);
  }
  for (const ino of dirStats.keys()) {
    if (!nodes.has(ino)) found.push(`statistics of directory ${ino}, which is gone`);
  }
  return found;
}

function quotas({ nodes, edges, dirQuotas }: VolumeState): string[] {
  return [...dirQuotas].flatMap(([root, quota]) => {
    if (!nodes.has(root)) return [`the quota of directory ${root}, which is gone`];
    let [space, inodes] = [0n, 0n];
    const left = [root];
    for (let dir = left.pop(); dir !== undefined; dir = left.pop()) {
      for (const edge of edges.filter(({ parent }) => parent === dir)) {
        space += spaceOf(edge.type, nodes.get(edge.ino)?.length ?? 0n);
        inodes += 1n;
        if (edge.type === FileType.directory) left.push(edge.ino);
      }
    }
    const isRight = quota.usedBytes === space && quota.usedInodes === inodes;
    const stored = `${quota.usedBytes} ${quota.usedInodes}`;
    return isRight ? [] : [`the quota of ${root}: ${stored}, not ${space} ${inodes}`];
  });
}

function leftovers({ nodes, symlinks, xattrs, chunks, deleted }: VolumeState): string[] {
  const found: string[] = [];
  for (const [ino, { type, length }] of nodes) {
    if (type !== FileType.symlink) continue;
    if (BigInt(symlinks.get(ino)?.length ?? -1) !== length) found.push(`the target of ${ino}`);
  }
  for (const ino of symlinks.keys()) {
    if (!nodes.has(ino)) found.push(`the target of ${ino}, which is gone`);
  }
  for (const key of xattrs.keys()) {
    if (!nodes.has(BigInt(key.split(' ')[0] ?? '0'))) found.push(`attribute ${key} of nobody`);
  }
  for (const key of chunks.keys()) {
    const ino = BigInt(key.split('_')[0] ?? '0');
    if (!nodes.has(ino) && !deleted.has(ino)) found.push(`chunk ${key} of nobody`);
  }
  return found;
}

function references({ chunks, refs, delayed, storesSingleRefs }: VolumeState): string[] {
  const counts = new Map<string, number>();
  const add = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const { sliceId, size } of [...chunks.values()].flat()) {
    if (sliceId > 0n) add(`${sliceId}_${size}`);
  }
  for (const key of delayed) add(key);
  const found: string[] = [];
  for (const [key, count] of counts) {
    const stored = refs.get(key) ?? (storesSingleRefs ? 0 : 1);
    if (stored !== count) found.push(`slice ${key}: ${stored} references, not ${count}`);
  }
  for (const [key, count] of refs) {
    if (count > 0 && !counts.has(key)) found.push(`slice ${key}: ${count} references, not 0`);
  }
  return found;
}
