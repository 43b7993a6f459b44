import { FuseSession } from '../../../src/fuse/kernel/session.ts';
import { SessionMetrics } from '../../../src/fuse/kernel/session-metrics.ts';
import { OPCODES } from '../../../src/fuse/wire/opcodes.ts';
import type { OpcodeName } from '../../../src/fuse/wire/opcodes.ts';
import type { Clock } from '../../../src/runtime/clock.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import type { FuseFileSystem } from '../../../src/fuse/file-system.ts';

/** A reply as the kernel would see it. */
export interface SeenReply {
  readonly errno: number;
  readonly payload: Buffer;
}

/** A session with a kernel made of arrays, and a clock whose timers are fired by hand. */
export class SessionBench {
  readonly metrics = memoryMetrics();
  readonly replies = new Map<bigint, SeenReply>();
  /** What the kernel says to the next replies: 0 takes them. */
  refusal = 0;
  /** Called with the error of each reply, refused or not. */
  onSend: (errno: number) => void = () => undefined;
  readonly #timers: { delayMs: number; run: () => void }[] = [];
  readonly session: FuseSession;
  #unique = 0n;

  constructor(operations: FuseFileSystem) {
    this.session = new FuseSession({
      operations,
      channel: { send: (parts) => this.#take(Buffer.concat(parts)) },
      wishes: {
        acl: false,
        locks: operations.mutations !== undefined,
        passthrough: false,
        maxRequestBytes: 1 << 20,
        maxWriteBytes: 131_072,
        maxReadaheadBytes: 1 << 20,
        maxBackground: 64,
      },
      clock: this.#clock(),
      logger: silentLogger,
      metrics: new SessionMetrics(this.metrics),
    });
  }

  /** Sends a request. @returns its unique number */
  send(name: OpcodeName, ino: bigint, body: Uint8Array = new Uint8Array()): bigint {
    this.#unique += 2n;
    const frame = Buffer.alloc(40 + body.byteLength);
    frame.writeUInt32LE(frame.byteLength, 0);
    frame.writeUInt32LE(OPCODES[name].number, 4);
    frame.writeBigUInt64LE(this.#unique, 8);
    frame.writeBigUInt64LE(ino, 16);
    frame.set(body, 40);
    this.session.handle(frame);
    return this.#unique;
  }

  /** Sends a request and waits for what is answered without timers. */
  async ask(name: OpcodeName, ino: bigint, body?: Uint8Array): Promise<SeenReply> {
    const unique = this.send(name, ino, body);
    await settle();
    const reply = this.replies.get(unique);
    if (reply === undefined) throw new Error(`${name} was not answered`);
    return reply;
  }

  /** Fires all timers that were set. */
  fireTimers(): void {
    for (const timer of this.#timers.splice(0)) timer.run();
  }

  #take(frame: Buffer): number {
    if (frame.readUInt32LE(0) !== frame.byteLength) return 22;
    const reply = { errno: Math.abs(frame.readInt32LE(4)), payload: frame.subarray(16) };
    this.onSend(reply.errno);
    if (this.refusal === 0) this.replies.set(frame.readBigUInt64LE(8), reply);
    return this.refusal;
  }

  #clock(): Clock {
    return {
      nowMs: () => 0,
      wallMs: () => 0,
      setTimer: (delayMs, run) => {
        const timer = { delayMs, run };
        this.#timers.push(timer);
        return { cancel: () => void this.#timers.splice(this.#timers.indexOf(timer), 1) };
      },
    };
  }
}

/** Lets promises run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A body of little-endian fields: numbers are 32 bits, bigints 64, strings end with a NUL. */
export function body(...fields: (number | bigint | string)[]): Uint8Array {
  return Buffer.concat(
    fields.map((field) => {
      if (typeof field === 'string') return Buffer.from(`${field}\0`);
      const bytes = Buffer.alloc(typeof field === 'bigint' ? 8 : 4);
      if (typeof field === 'bigint') bytes.writeBigUInt64LE(field);
      else bytes.writeUInt32LE(field);
      return bytes;
    }),
  );
}
