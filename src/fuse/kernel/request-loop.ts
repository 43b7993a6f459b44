import { Errno } from '../../posix/errno.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { OpcodeKind } from '../wire/opcodes.ts';
import { OPCODES } from '../wire/opcodes.ts';
import type { ExtentReader } from './extent-reader.ts';
import { DeviceError } from './device-error.ts';
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

/** In {@link STATUS}: the main thread answers. */
const POST = -1;
/** In {@link STATUS}: answered at once, the main thread hears of it later. */
const CLOSE = -2;
const STATUS_SIZE = 64;

/** What workers answer without asking anybody, by opcode. */
const STATUS = Int16Array.from({ length: STATUS_SIZE }, (_, opcode) => statusOf(opcode));

/** Byte offset and size of `unique` in a frame. @see struct fuse_in_header */
const UNIQUE_OFFSET = 8;
const UNIQUE_BYTES = 8;
/** Closed handles that the main thread learns of together, at the latest with the next request. */
const CLOSED_MAX = 16;

/** What a loop needs. */
export interface RequestLoopOptions {
  readonly device: WorkerDevice;
  readonly reader: ExtentReader;
  readonly stats: Float64Array;
  readonly clock: Clock;
  readonly post: (message: DeviceWorkerMessage) => void;
}

/** Reads requests and answers those that need nothing but shared memory; posts the others. */
export class RequestLoop {
  readonly #options: RequestLoopOptions;
  /** Requests that were answered here and that the main thread has not heard of. */
  #answered: Uint8Array[] = [];

  constructor(options: RequestLoopOptions) {
    this.#options = options;
  }

  /** Returns when the mount is gone. @throws DeviceError when the device fails otherwise */
  run(): void {
    const { device } = this.#options;
    for (;;) {
      const length = device.receive();
      if (length > 0) this.#handle(length);
      else if (isEnd(length)) break;
    }
    this.#postAnswered();
  }

  #handle(length: number): void {
    const { device, post, stats } = this.#options;
    const opcode = device.words[OPCODE] as number;
    if (opcode === OPCODES.read.number && length === READ_FRAME_BYTES && this.#tryRead()) return;
    const status = opcode < STATUS_SIZE ? (STATUS[opcode] as number) : Errno.ENOSYS;
    if (status === POST) {
      countPosted(stats);
      const frame = device.frame.slice(0, length);
      post(this.#answered.length === 0 ? frame : Buffer.concat([...this.#answered, frame]));
      this.#answered = [];
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
    const { device, stats } = this.#options;
    const frame = device.frame.slice(0, length);
    frame.fill(0, UNIQUE_OFFSET, UNIQUE_OFFSET + UNIQUE_BYTES);
    this.#answered.push(frame);
    if (device.sendStatus(0) !== 0) countRefused(stats);
    if (this.#answered.length >= CLOSED_MAX) this.#postAnswered();
  }

  #postAnswered(): void {
    if (this.#answered.length > 0) this.#options.post(Buffer.concat(this.#answered));
    this.#answered = [];
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

function statusOf(opcode: number): number {
  if (opcode === OPCODES.ioctl.number) return Errno.ENOTTY;
  const row = Object.values(OPCODES).find(({ number }) => number === opcode);
  if (row === OPCODES.release || row === OPCODES.releasedir) return CLOSE;
  const kind: OpcodeKind = row?.kind ?? 'unsupported';
  if (kind === 'write') return Errno.EROFS;
  if (kind === 'unsupported') return Errno.ENOSYS;
  return kind === 'ignored' ? 0 : POST;
}
