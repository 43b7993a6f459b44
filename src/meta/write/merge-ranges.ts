import type { RangeLock } from '../file-lock.ts';

/** Whether two ranges have a byte in common. */
export function rangesOverlap(
  a: Pick<RangeLock, 'start' | 'end'>,
  b: Pick<RangeLock, 'start' | 'end'>,
): boolean {
  return a.start <= b.end && b.start <= a.end;
}

/** Whether one holder's lock keeps another holder from getting one. */
export function isConflict(held: RangeLock, wanted: RangeLock): boolean {
  if (held.type === 'read' && wanted.type === 'read') return false;
  return rangesOverlap(held, wanted);
}

/**
 * One holder's locks after a new one, which wins where it lies over others; `unlock` leaves nothing.
 *
 * @param held - ascending and disjoint
 * @returns ascending and disjoint; neighbours that touch and are alike are one
 */
export function mergeRanges(held: readonly RangeLock[], added: RangeLock): RangeLock[] {
  const parts: RangeLock[] = [];
  for (const lock of held) {
    if (!rangesOverlap(lock, added)) {
      parts.push(lock);
      continue;
    }
    if (lock.start < added.start) parts.push({ ...lock, end: added.start - 1n });
    if (lock.end > added.end) parts.push({ ...lock, start: added.end + 1n });
  }
  if (added.type !== 'unlock') parts.push(added);
  parts.sort((a, b) => (a.start < b.start ? -1 : 1));
  const joined: RangeLock[] = [];
  for (const part of parts) {
    const last = joined.at(-1);
    const touches = last !== undefined && last.end + 1n === part.start;
    if (last !== undefined && touches && last.type === part.type && last.pid === part.pid) {
      joined[joined.length - 1] = { ...last, end: part.end };
    } else {
      joined.push(part);
    }
  }
  return joined;
}
