import { Errno } from '../../posix/errno.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { OpcodeKind } from '../wire/opcodes.ts';
import { OPCODES } from '../wire/opcodes.ts';
import { answered, type ClosedHandles } from './closed-handles.ts';
import type { ExtentReader } from './extent-reader.ts';
import { DeviceError } from './device-error.ts';
import type { RequestShortcut } from './request-shortcut.ts';
import type { WorkerDevice } from './worker-device.ts';
import { REQUEST_BYTES_MAX } from './worker-device.ts';
import type { DeviceWorkerMessage } from './worker-messages.ts';
import { countBytes, countPosted, countRead, countRefused } from './worker-stats.ts';

/** Positions of 32-bit words in a READ frame. @see struct fuse_in_header, struct fuse_read_in */
const OPCODE = 1;
const FH_LOW = 10;
const FH_HIGH = 11;
const OFFSET_LOW = 12;
const OFFSET_HIGH = 13;
const SIZE = 14;
const READ_FRAME_BYTES = 80;
/** Offsets from here on are not exact in a number. */
const OFFSET_HIGH_MAX = 2 ** 21;
/** The connection was aborted (only with FUSE_ABORT_ERROR, which is not asked for). */
const ECONNABORTED = 103;

/** Instead of an error number: the main thread answers. */
const POST = -1;
/** Instead of an error number: answered at once, the main thread hears of it later. */
const CLOSE = -2;
const STATUS_SIZE = 64;

/** What requests that are not the main thread's business are answered with. */
const STATUS: { readonly [Kind in OpcodeKind]?: number } = { unsupported: Errno.ENOSYS };
/** The same for those that only matter where something can be written. */
const READ_ONLY_STATUS: typeof STATUS = { write: Errno.EROFS, local: Errno.ENOSYS, sync: 0 };

/** The main thread is told to look after closed handles when so many wait… */
const CLOSED_MAX = 16;
/** …or with the first request after so long; it looks by itself some times a second. */
const CLOSED_WAIT_MS = 50;

/** What a loop needs. */
export interface RequestLoopOptions {
  readonly device: WorkerDevice;
  readonly reader: ExtentReader;
  readonly shortcut: RequestShortcut | undefined;
  readonly closed: ClosedHandles;
  readonly stats: Float64Array;
  /** Requests that would change something are refused at once. */
  readonly isReadOnly: boolean;
  readonly clock: Clock;
  readonly post: (message: DeviceWorkerMessage) => void;
}

/** Reads requests and answers those that need nothing but shared memory; posts the others. */
export class RequestLoop {
  readonly #options: RequestLoopOptions;
  /** What is answered without asking anybody, by opcode: an error number or 0, POST, CLOSE. */
  readonly #status: Int16Array;
  /** When the first handle was closed of which the main thread has not heard. */
  #closedMs = 0;

  constructor(options: RequestLoopOptions) {
    this.#options = options;
    this.#status = Int16Array.from({ length: STATUS_SIZE }, (_, opcode) =>
      statusOf(opcode, options.isReadOnly),
    );
  }

  /** Returns when the mount is gone. @throws DeviceError when the device fails otherwise */
  run(): void {
    const { device } = this.#options;
    for (;;) {
      const length = device.receive();
      if (length > 0) this.#handle(length);
      else if (isEnd(length)) return;
    }
  }

  #handle(length: number): void {
    const { device, post, stats, shortcut } = this.#options;
    const opcode = device.words[OPCODE] as number;
    if (opcode === OPCODES.read.number && length === READ_FRAME_BYTES && this.#tryRead()) return;
    if (shortcut?.take(device.frame, device.words, length) === true) {
      this.#tellOfOld();
      return;
    }
    const status = opcode < STATUS_SIZE ? (this.#status[opcode] as number) : Errno.ENOSYS;
    if (status === POST) {
      countPosted(stats);
      post(device.frame.slice(0, length));
      return;
    }
    if (status === CLOSE) {
      this.#close(length);
      return;
    }
    if (device.sendStatus(status) !== 0) countRefused(stats);
  }

  /**
   * Nobody waits for what closing a handle does, so it is answered at once, and the main thread is
   * not woken for it alone.
   */
  #close(length: number): void {
    const { device, stats, closed, clock, post } = this.#options;
    if (closed.waiting === 0) this.#closedMs = clock.nowMs();
    const isNoted = closed.add(device.frame, length);
    if (!isNoted) post(answered(device.frame.slice(0, length)));
    if (device.sendStatus(0) !== 0) countRefused(stats);
    if (closed.waiting === CLOSED_MAX) post('closed');
  }

  /** What holds memory must not wait for the rare request that the main thread answers. */
  #tellOfOld(): void {
    const { closed, clock, post } = this.#options;
    if (closed.waiting === 0 || clock.nowMs() - this.#closedMs <= CLOSED_WAIT_MS) return;
    this.#closedMs = clock.nowMs();
    post('closed');
  }

  /** @returns whether the read was answered */
  #tryRead(): boolean {
    const { device, reader, stats, clock, post } = this.#options;
    const { words } = device;
    const fileId = words[FH_HIGH] as number;
    const offsetHigh = words[OFFSET_HIGH] as number;
    const size = words[SIZE] as number;
    if (fileId === 0 || offsetHigh >= OFFSET_HIGH_MAX || size > REQUEST_BYTES_MAX) return false;
    const startedMs = clock.nowMs();
    const offset = offsetHigh * 2 ** 32 + (words[OFFSET_LOW] as number);
    const errno = reader.answer(device, fileId, offset, size);
    if (errno === -1) return false;
    if (errno !== 0) this.#onRefused(errno);
    else {
      countRead(stats, size, clock.nowMs() - startedMs);
      countBytes(stats, reader.memoryBytes, reader.fileBytes);
    }
    if (reader.touched.length > 0) {
      const fh = (BigInt(fileId) << 32n) | BigInt(words[FH_LOW] as number);
      for (const touched of reader.touched) post({ fh, offset: touched });
    }
    return true;
  }

  #onRefused(errno: number): void {
    countRefused(this.#options.stats);
    // Whoever waits must not wait for ever.
    if (errno !== Errno.ENOENT) this.#options.device.sendStatus(Errno.EIO);
  }
}

function isEnd(result: number): boolean {
  switch (-result) {
    case Errno.ENODEV:
    case ECONNABORTED:
      return true;
    // A request was interrupted before it was read, or a signal came.
    case Errno.ENOENT:
    case Errno.EINTR:
    case Errno.EAGAIN:
      return false;
    default:
      throw new DeviceError('device-failed', `reading the FUSE device failed (errno ${-result})`);
  }
}

function statusOf(opcode: number, isReadOnly: boolean): number {
  if (opcode === OPCODES.ioctl.number) return Errno.ENOTTY;
  const row = Object.values(OPCODES).find(({ number }) => number === opcode);
  // Where files are written, closing one may mean more than forgetting a handle.
  const closes = row === OPCODES.releasedir || (isReadOnly && row === OPCODES.release);
  if (closes) return CLOSE;
  const kind: OpcodeKind = row?.kind ?? 'unsupported';
  return (isReadOnly ? READ_ONLY_STATUS[kind] : undefined) ?? STATUS[kind] ?? POST;
}
