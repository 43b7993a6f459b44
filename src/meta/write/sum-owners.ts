import { type Attr, FileType } from '../../posix/attr.ts';
import { type Ino, ROOT_INO, TRASH_INO } from '../../posix/ino.ts';
import type { WritableEngine } from '../writable-engine.ts';
import { directoryEntries } from './directory-entries.ts';
import type { OwnerKind, Usage } from './meta-tx.ts';
import { spaceOf } from './node-space.ts';

/** What belongs to whom, by uid and by gid. */
export type OwnerUsage = Readonly<Record<OwnerKind, ReadonlyMap<number, Usage>>>;

/**
 * Counts what belongs to each user and group: all below the root and in the trash, and files that are
 * open without a name. Those two directories themselves are nobody's. A file counts once, however many
 * names it has. Memory: one entry per directory that waits, and per file with several names.
 *
 * @throws MetaError
 */
export async function sumOwners(engine: WritableEngine, signal: AbortSignal): Promise<OwnerUsage> {
  const sums = new OwnerSums();
  const left: Ino[] = [ROOT_INO, TRASH_INO];
  const linked = new Set<Ino>();
  for (let dir = left.pop(); dir !== undefined; dir = left.pop()) {
    const entries = directoryEntries(engine, { dir, withAttrs: true, unique: true }, signal);
    for await (const { ino, attr } of entries) {
      if (attr === undefined || linked.has(ino)) continue;
      sums.add(attr);
      if (attr.type === FileType.directory) left.push(ino);
      else if (attr.nlink > 1) linked.add(ino);
    }
  }
  for (const { sid } of await engine.listSessions(signal)) {
    const inos = await engine.scans.sustained(sid, signal);
    for (const attr of await engine.getattrs(inos, signal)) if (attr !== undefined) sums.add(attr);
  }
  return sums;
}

class OwnerSums implements OwnerUsage {
  readonly user = new Map<number, Usage>();
  readonly group = new Map<number, Usage>();

  add(attr: Attr): void {
    const space = spaceOf(attr);
    addTo(this.user, attr.uid, space);
    addTo(this.group, attr.gid, space);
  }
}

function addTo(sums: Map<number, Usage>, id: number, more: bigint): void {
  const { space = 0n, inodes = 0n } = sums.get(id) ?? {};
  sums.set(id, { space: space + more, inodes: inodes + 1n });
}
