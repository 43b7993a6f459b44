import type { Attr } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { DirLedger } from './dir-ledger.ts';
import type { MetaTx } from './meta-tx.ts';
import { spaceOfLength } from './node-space.ts';
import { chargeOwner, checkOwner, checkVolume } from './volume-ledger.ts';

/** No file is as long as this: chunks of 64 MiB are numbered by 31 bits. */
export const FILE_BYTES_MAX = 1n << 57n;

/** A directory that names the file, and how often. */
interface Parent {
  readonly ledger: DirLedger;
  readonly count: bigint;
}

/**
 * Checks the limits for a file's new length and charges everybody with the difference.
 *
 * @throws FsError EFBIG, ENOSPC, EDQUOT
 */
export async function chargeLength(
  tx: MetaTx,
  ino: Ino,
  attr: Attr,
  newLength: bigint,
): Promise<void> {
  if (newLength >= FILE_BYTES_MAX) throw new FsError('EFBIG');
  const length = newLength - attr.length;
  const space = spaceOfLength(newLength) - spaceOfLength(attr.length);
  if (length === 0n && space === 0n) return;
  const parents = await parentsOf(tx, ino, attr);
  const more = { space, inodes: 0n };
  await checkOwner(tx, attr, more);
  await checkVolume(tx, more);
  for (const { ledger } of parents) ledger.check(more);
  if (space !== 0n) {
    tx.addUsage(more);
    chargeOwner(tx, attr, more);
  }
  for (const { ledger, count } of parents) {
    ledger.charge({ length: length * count, space: space * count, inodes: 0n });
  }
}

/** A file without a name, which is only open, belongs to no directory any more. */
async function parentsOf(tx: MetaTx, ino: Ino, attr: Attr): Promise<Parent[]> {
  if (!tx.rules.dirStats || attr.nlink === 0) return [];
  if (attr.parent > 0n) return [{ ledger: await DirLedger.open(tx, attr.parent), count: 1n }];
  const links = await tx.links(ino);
  return Promise.all(
    [...links].map(async ([dir, count]) => ({
      ledger: await DirLedger.open(tx, dir),
      count: BigInt(count),
    })),
  );
}
