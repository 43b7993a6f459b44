import { type Attr, modeOf } from '../../posix/attr.ts';
import type { Ino } from '../../posix/ino.ts';

/** A request that has ended, for the access log. */
export interface AccessEntry {
  /** When it ended, milliseconds since 1970. */
  readonly wallMs: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly method: string;
  /** In parentheses, e.g. `(1,name): (2)`. */
  readonly detail: string;
  /** The error's text, or undefined for success. */
  readonly error: string | undefined;
  readonly durationMs: number;
}

/** A line of JuiceFS's access log, which `juicefs profile` reads. */
export function accessLine(entry: AccessEntry): string {
  const { uid, gid, pid, method, detail, error, durationMs } = entry;
  const time = timeText(entry.wallMs);
  const seconds = (Math.max(0, durationMs) / 1000).toFixed(6);
  const ids = `[uid:${uid},gid:${gid},pid:${pid}]`;
  return `${time} ${ids} ${method} ${detail} - ${error ?? 'OK'} <${seconds}>\n`;
}

/** How an inode that was found shows: ` (2,[-rw-r--r--:0100644,1,0,0,…,length])`. */
export function entryText(ino: Ino, attr: Attr): string {
  const mode = modeOf(attr);
  const octal = `0${mode.toString(8).padStart(6, '0')}`;
  const { nlink, uid, gid, atime, mtime, ctime, length } = attr;
  const times = [atime, mtime, ctime].map(({ seconds }) => seconds).join(',');
  return ` (${ino},[${modeText(mode)}:${octal},${nlink},${uid},${gid},${times},${length}])`;
}

/** A name as one printable word. */
export function nameText(name: Uint8Array): string {
  return JSON.stringify(Buffer.from(name).toString('utf8')).slice(1, -1).replaceAll(' ', '\\x20');
}

/** `2006.01.02 15:04:05.000000` in the machine's time zone. */
function timeText(wallMs: number): string {
  const parts = new Map(LOCAL_TIME.formatToParts(wallMs).map(({ type, value }) => [type, value]));
  const day = `${parts.get('year')}.${parts.get('month')}.${parts.get('day')}`;
  const clock = `${parts.get('hour')}:${parts.get('minute')}:${parts.get('second')}`;
  const micros = Math.floor((wallMs - Math.floor(wallMs / 1000) * 1000) * 1000);
  return `${day} ${clock}.${String(micros).padStart(6, '0')}`;
}

const LOCAL_TIME = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

const TYPES: ReadonlyMap<number, string> = new Map([
  [0o140000, 's'],
  [0o120000, 'l'],
  [0o100000, '-'],
  [0o060000, 'b'],
  [0o040000, 'd'],
  [0o020000, 'c'],
  [0o010000, 'p'],
]);

function modeText(mode: number): string {
  const bits = Array.from('rwxrwxrwx', (letter, at) => ((mode >> (8 - at)) & 1 ? letter : '-'));
  const special = (bit: number, at: number, letter: string) => {
    if ((mode & bit) !== 0) bits[at] = bits[at] === 'x' ? letter : letter.toUpperCase();
  };
  special(0o4000, 2, 's');
  special(0o2000, 5, 's');
  special(0o1000, 8, 't');
  return (TYPES.get(mode & 0o170000) ?? '?') + bits.join('');
}
