import type { Fabric } from './fabric.ts';

/** Bytes on their way or unread in one direction before the sender has to wait: socket buffers. */
const WINDOW_BYTES = 128 * 1024;
/** Of a packet without data. */
const HEADER_BYTES = 60;
/** What goes over the link in one piece, so that a slow one delivers bit by bit. */
const SEGMENT_BYTES = 64 * 1024;

/** Takes what arrives at one end of a connection. */
export interface StreamEnd {
  /** Bytes; `taken` is to be called when the process has read them. */
  onBytes(bytes: Uint8Array, taken: () => void): void;
  /** The other side sends no more: it has ended in order, or the connection broke. */
  onEnd(how: 'fin' | 'reset'): void;
}

type Item =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'fin' | 'reset' };

interface Unsent {
  readonly chunks: readonly Uint8Array[];
  readonly sizeBytes: number;
  at: number;
  readonly taken: () => void;
}

/** One direction of a TCP connection: in order, and complete or broken. */
export class StreamHalf {
  readonly #fabric: Fabric;
  readonly #from: number;
  readonly #to: number;
  readonly #end: StreamEnd;
  /** What has no room yet; its memory is the sender's. */
  readonly #blocked: Unsent[] = [];
  #ending: 'fin' | undefined;
  #openBytes = 0;
  #nextNumber = 0;
  #arrivedNumber = 0;
  readonly #early = new Map<number, Item>();
  #isOver = false;

  /** @param end - where it arrives */
  constructor(fabric: Fabric, from: number, to: number, end: StreamEnd) {
    this.#fabric = fabric;
    this.#from = from;
    this.#to = to;
    this.#end = end;
  }

  /** Bytes sent and not yet read at the other end. */
  get openBytes(): number {
    return this.#openBytes;
  }

  /**
   * Sends bytes, one chunk behind the other.
   *
   * @param taken - called when the system has taken them all; until then they must not change
   */
  send(chunks: readonly Uint8Array[], taken: () => void): void {
    if (this.#isOver) return;
    const sizeBytes = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
    this.#blocked.push({ chunks, sizeBytes, at: 0, taken });
    this.#admit();
  }

  /** Says that no more comes; what was sent before still arrives when it is `fin`. */
  finish(how: 'fin' | 'reset'): void {
    if (this.#isOver) return;
    if (how === 'reset') this.#blocked.length = 0;
    if (this.#blocked.length > 0) this.#ending = 'fin';
    else this.#transmit({ kind: how });
  }

  /** The sender closes its socket: what the system has not taken is dropped. */
  close(): void {
    this.#blocked.length = 0;
    this.finish('fin');
  }

  /** The sending machine lost power: what it has not sent is gone, and nobody hears why. */
  vanish(): void {
    this.#isOver = true;
    this.#blocked.length = 0;
  }

  /** Takes what there is room for, as a system call would: from here on it is a copy. */
  #admit(): void {
    for (let first = this.#blocked[0]; first !== undefined; first = this.#blocked[0]) {
      while (first.at < first.sizeBytes) {
        const room = Math.min(WINDOW_BYTES - this.#openBytes, SEGMENT_BYTES);
        if (room <= 0) return;
        const bytes = copyOf(first, room);
        first.at += bytes.byteLength;
        this.#openBytes += bytes.byteLength;
        this.#transmit({ kind: 'bytes', bytes });
      }
      this.#blocked.shift();
      first.taken();
    }
    if (this.#ending !== undefined) this.#transmit({ kind: this.#ending });
    this.#ending = undefined;
  }

  /** Several segments are on their way at once; the other end puts them in order. */
  #transmit(item: Item): void {
    this.#nextNumber += 1;
    const number = this.#nextNumber;
    if (item.kind === 'bytes') this.#fabric.damage(this.#from, this.#to, item.bytes);
    this.#fabric.send({
      from: this.#from,
      to: this.#to,
      sizeBytes: item.kind === 'bytes' ? item.bytes.byteLength + HEADER_BYTES : HEADER_BYTES,
      arrive: () => this.#arrive(number, item),
      giveUp: () => this.#break(),
      isWanted: () => !this.#isOver,
    });
  }

  #arrive(number: number, item: Item): void {
    if (this.#isOver) return;
    this.#early.set(number, item);
    for (;;) {
      const next = this.#early.get(this.#arrivedNumber + 1);
      if (next === undefined) return;
      this.#early.delete(this.#arrivedNumber + 1);
      this.#arrivedNumber += 1;
      this.#deliver(next);
    }
  }

  #deliver(item: Item): void {
    if (item.kind !== 'bytes') {
      this.#isOver = true;
      this.#end.onEnd(item.kind);
      return;
    }
    const { bytes } = item;
    this.#end.onBytes(bytes, () => this.#taken(bytes.byteLength));
  }

  #taken(sizeBytes: number): void {
    if (this.#blocked.length === 0) {
      this.#openBytes -= sizeBytes;
      return;
    }
    // Somebody waits for room, and learns of it from a packet that goes the other way.
    this.#fabric.send({
      from: this.#to,
      to: this.#from,
      sizeBytes: HEADER_BYTES,
      arrive: () => {
        this.#openBytes -= sizeBytes;
        this.#admit();
      },
      isWanted: () => !this.#isOver,
    });
  }

  #break(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#end.onEnd('reset');
  }
}

/** What comes next, `lengthMax` bytes at most. Buffers have a `slice` that copies nothing. */
function copyOf({ chunks, sizeBytes, at }: Unsent, lengthMax: number): Uint8Array {
  const copy = new Uint8Array(Math.min(lengthMax, sizeBytes - at));
  let skipped = at;
  let filled = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(skipped, skipped + copy.byteLength - filled);
    copy.set(part, filled);
    filled += part.byteLength;
    skipped = Math.max(0, skipped - chunk.byteLength);
  }
  return copy;
}
