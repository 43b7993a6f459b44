/** Words per connection: whole cache lines, so that connections do not slow each other. */
const STRIDE = 16;
const STATE = 0;
const BUSY = 1;
const OPENING = 2;
/** Common words, before those of the connections. */
const COMMON_WORDS = 32;
const STOP = 0;
const NOTES_ASKED = 1;
const PAUSED = 2;
const TICKET = 3;
const ANSWERING = 16;

/** How long a wait for another thread's next instruction sleeps; it is hardly ever needed. */
const PAUSE_MS = 0.05;
/** Looks before it sleeps. */
const SPINS = 1000;

/** `off`: nobody uses the connection; `ready`: connected, the answering thread is to take it; `on`: in use. */
export const LineState = { off: 0, ready: 1, on: 2 } as const;
export type LineState = (typeof LineState)[keyof typeof LineState];

/**
 * What the threads of a shortcut tell each other, in shared memory.
 *
 * Two pairs of words are crossed as in Dekker's algorithm: each side first says what it does, then
 * looks at what the other says (all accesses are sequentially consistent). So after `close` no
 * worker sends on the connection, and after `untilAnswered` every answer that was decided on by
 * older knowledge has been sent.
 */
export class Switchboard {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
  }

  /** @param lines - connections, one per worker thread */
  static create(lines: number): Switchboard {
    return new Switchboard(new SharedArrayBuffer((COMMON_WORDS + lines * STRIDE) * 4));
  }

  state(line: number): LineState {
    return Atomics.load(this.#words, COMMON_WORDS + line * STRIDE + STATE) as LineState;
  }

  setState(line: number, state: LineState): void {
    Atomics.store(this.#words, COMMON_WORDS + line * STRIDE + STATE, state);
  }

  /** Worker: about to send. @returns whether it may; `leave` follows in any case */
  enter(line: number): boolean {
    Atomics.store(this.#words, COMMON_WORDS + line * STRIDE + BUSY, 1);
    return this.state(line) === LineState.on && Atomics.load(this.#words, PAUSED) === 0;
  }

  /** Worker: done sending. */
  leave(line: number): void {
    Atomics.store(this.#words, COMMON_WORDS + line * STRIDE + BUSY, 0);
  }

  /** Answering thread: takes the connection out of use. No worker is sending when it returns. */
  close(line: number): void {
    this.setState(line, LineState.off);
    this.#whileSet(COMMON_WORDS + line * STRIDE + BUSY);
  }

  /** Answering thread: an answer is decided on and sent from here to {@link endAnswer}. */
  beginAnswer(): void {
    Atomics.store(this.#words, ANSWERING, 1);
  }

  endAnswer(): void {
    Atomics.store(this.#words, ANSWERING, 0);
  }

  /** Worker: like {@link beginAnswer}, for what it answers by itself. @returns whether it may */
  beginOpen(line: number): boolean {
    Atomics.store(this.#words, COMMON_WORDS + line * STRIDE + OPENING, 1);
    return Atomics.load(this.#words, PAUSED) === 0;
  }

  endOpen(line: number): void {
    Atomics.store(this.#words, COMMON_WORDS + line * STRIDE + OPENING, 0);
  }

  /** Main thread: waits for answers that are being sent, a few microseconds at most. */
  untilAnswered(): void {
    this.#whileSet(ANSWERING);
    for (let at = COMMON_WORDS; at < this.#words.length; at += STRIDE) this.#whileSet(at + OPENING);
  }

  /** Main thread: a metadata request with this ticket is about to be made. */
  setTicket(ticket: number): void {
    Atomics.store(this.#words, TICKET, ticket | 0);
  }

  /** The lower 32 bits of the ticket that was taken last. */
  get ticket(): number {
    return Atomics.load(this.#words, TICKET) >>> 0;
  }

  /** Main thread: workers ask nothing while it is paused; what they asked before is answered. */
  pause(paused: boolean): void {
    Atomics.store(this.#words, PAUSED, paused ? 1 : 0);
  }

  stop(): void {
    Atomics.store(this.#words, STOP, 1);
  }

  get isStopped(): boolean {
    return Atomics.load(this.#words, STOP) === 1;
  }

  /** @returns true for the first who asks since {@link notesTaken} */
  askForNotes(): boolean {
    return Atomics.exchange(this.#words, NOTES_ASKED, 1) === 0;
  }

  notesTaken(): void {
    Atomics.store(this.#words, NOTES_ASKED, 0);
  }

  #whileSet(word: number): void {
    for (let spins = 0; Atomics.load(this.#words, word) === 1; spins++) {
      // The other thread has lost its processor in between.
      if (spins >= SPINS) Atomics.wait(this.#words, word, 1, PAUSE_MS);
    }
  }
}
