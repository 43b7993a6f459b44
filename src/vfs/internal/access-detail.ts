import type {
  AttrReply,
  EntryReply,
  NegativeReply,
  OpenReply,
  ReadReply,
} from '../../fuse/operations.ts';
import type { Ino } from '../../posix/ino.ts';
import { entryText, nameText } from './access-line.ts';

/**
 * What the access log says of each request: its arguments and, when there is one, its result, as
 * JuiceFS writes them. The result is undefined when the request failed.
 */
export const detail = {
  lookup: (parent: Ino, name: Uint8Array, found: EntryReply | NegativeReply | undefined): string =>
    `(${parent},${nameText(name)}):${found?.ino === undefined ? '' : entryText(found.ino, found.attr)}`,
  getattr: (ino: Ino, found: AttrReply | undefined): string =>
    `(${ino}):${found === undefined ? '' : entryText(ino, found.attr)}`,
  readlink: (ino: Ino, target: Uint8Array | undefined): string =>
    `(${ino}): (${nameText(target ?? new Uint8Array())})`,
  open: (ino: Ino, flags: number, opened: OpenReply | undefined): string =>
    `(${ino},0x${flags.toString(16)})${handleText(opened)}`,
  read: (
    where: { ino: Ino; fh: bigint; offset: number; length: number },
    found: ReadReply | undefined,
  ): string => {
    const { ino, fh, offset, length } = where;
    const bytes = found?.parts.reduce((sum, part) => sum + part.byteLength, 0) ?? 0;
    return `(${ino},${length},${offset},${fh}): (${bytes})`;
  },
  write: (where: { ino: Ino; fh: bigint; offset: number; length: number }): string =>
    `(${where.ino},${where.length},${where.offset},${where.fh})`,
  release: (ino: Ino | undefined, fh: bigint): string => `(${ino ?? 0},${fh})`,
  opendir: (ino: Ino, opened: OpenReply | undefined): string => `(${ino})${handleText(opened)}`,
  readdir: (ino: Ino, offset: bigint, plus: boolean, entries: number): string =>
    `(${ino},${offset},${plus}): (${entries})`,
  inode: (ino: Ino): string => `(${ino})`,
  getxattr: (ino: Ino, name: Uint8Array, value: Uint8Array | undefined): string =>
    `(${ino},${nameText(name)}): (${value?.byteLength ?? 0})`,
  lseek: (ino: Ino, offset: number, found: number | undefined): string =>
    `(${ino},${offset}): (${found ?? 0})`,
};

function handleText(opened: OpenReply | undefined): string {
  return opened === undefined ? '' : ` [fh:${opened.fh}]`;
}
