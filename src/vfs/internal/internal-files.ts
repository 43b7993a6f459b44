import {
  fileHandle,
  type FuseContext,
  handleOf,
  type OpenReply,
  type ReadReply,
} from '../../fuse/operations.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { O_ACCMODE } from '../../posix/open-flags.ts';
import { HandleTable } from '../handle-table.ts';
import { VirtualIno } from '../virtual-nodes.ts';
import type { AccessLog, AccessLogReader } from './access-log.ts';
import { type ControlParts, ControlSession, type ControlUser } from './control-session.ts';

/** What the virtual files show, made elsewhere. */
export interface InternalSources {
  /** All metrics, in JuiceFS's form: a name and a value on each line. */
  stats(): Promise<string>;
  /** The configuration as JSON, without secrets. */
  readonly config: string;
}

/** What {@link InternalFiles} work with. */
export interface InternalParts extends ControlParts {
  readonly sources: InternalSources;
  readonly accessLog: AccessLog;
  /** Open at once. */
  readonly handlesMax: number;
}

/** Of a handle number: it belongs to a virtual file. Other tables never get that far. */
const INTERNAL_BIT = 0x8000_0000;

type Opened =
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  | { readonly kind: 'log'; readonly reader: AccessLogReader }
  | { readonly kind: 'control'; readonly session: ControlSession };

/** The virtual files that JuiceFS's tools use: `.accesslog`, `.control`, `.stats`, `.config`. */
export class InternalFiles {
  readonly #parts: InternalParts;
  readonly #handles: HandleTable<Opened>;

  constructor(parts: InternalParts) {
    this.#parts = parts;
    this.#handles = new HandleTable(Math.min(parts.handlesMax, INTERNAL_BIT - 1));
  }

  /** Whether a handle is one of a virtual file. */
  owns(fh: bigint): boolean {
    return (handleOf(fh) & INTERNAL_BIT) !== 0 && fh >> 32n === 0n;
  }

  /** @throws FsError ENOENT, EROFS, ENFILE */
  async open(ino: Ino, flags: number): Promise<OpenReply> {
    const writes = (flags & O_ACCMODE) !== 0;
    if (writes && ino !== VirtualIno.control) throw new FsError('EROFS');
    const opened = await this.#opened(ino);
    let number: number;
    try {
      number = this.#handles.add(opened);
    } catch (error) {
      this.#close(opened);
      throw error;
    }
    const fh = fileHandle(0, number + INTERNAL_BIT);
    // Their length says nothing: the kernel must ask.
    return { fh, keepCache: false, directIo: true, cacheDir: false };
  }

  /** @throws FsError EBADF, EIO; the signal's reason when aborted */
  async read(
    context: FuseContext,
    fh: bigint,
    range: { offset: number; length: number },
  ): Promise<ReadReply> {
    return { parts: [await this.#bytes(context, fh, range)], release: () => undefined };
  }

  /** @throws FsError EBADF, EFBIG, EBUSY */
  write(user: ControlUser, fh: bigint, bytes: Uint8Array): number {
    const opened = this.#handles.get(numberOf(fh));
    if (opened.kind !== 'control') throw new FsError('EBADF');
    opened.session.write(bytes, user);
    return bytes.byteLength;
  }

  release(fh: bigint): void {
    const opened = this.#handles.remove(numberOf(fh));
    if (opened !== undefined) this.#close(opened);
  }

  async #opened(ino: Ino): Promise<Opened> {
    const { sources, accessLog } = this.#parts;
    switch (ino) {
      case VirtualIno.accessLog:
        return { kind: 'log', reader: accessLog.open() };
      case VirtualIno.control:
        return { kind: 'control', session: new ControlSession(this.#parts) };
      case VirtualIno.stats:
        return { kind: 'text', bytes: Buffer.from(await sources.stats()) };
      case VirtualIno.config:
        return { kind: 'text', bytes: Buffer.from(sources.config) };
      default:
        throw new FsError('ENOENT', `no virtual file ${ino}`);
    }
  }

  #bytes(
    { signal }: FuseContext,
    fh: bigint,
    range: { offset: number; length: number },
  ): Uint8Array | Promise<Uint8Array> {
    const opened = this.#handles.get(numberOf(fh));
    switch (opened.kind) {
      case 'text':
        return opened.bytes.subarray(range.offset, range.offset + range.length);
      case 'log':
        return opened.reader.read(range.length, signal);
      case 'control':
        return opened.session.read(range);
    }
  }

  #close(opened: Opened): void {
    if (opened.kind === 'log') this.#parts.accessLog.close(opened.reader);
    else if (opened.kind === 'control') opened.session.close();
  }
}

function numberOf(fh: bigint): number {
  return handleOf(fh) - INTERNAL_BIT;
}
