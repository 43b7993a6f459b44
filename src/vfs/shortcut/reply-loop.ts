import { DirectReply, readReply } from '../../meta/redis/direct-reply.ts';
import { machineMs } from '../../runtime/clock.ts';
import type { Libc } from '../../runtime/system/libc.ts';
import type { Answerer } from './answerer.ts';
import { opcodeOf } from './question.ts';
import { QuestionQueue } from './question-queue.ts';
import type { AnswererMessage, LossReason, ShortcutData } from './shortcut-data.ts';
import type { ShortcutStats } from './shortcut-stats.ts';
import { LineState, Switchboard } from './switchboard.ts';

/** How often the thread looks after silent connections and the end, when nothing comes. */
const POLL_MS = 50;
/** A question that waits longer goes to the main thread, whose engine reconnects and repeats. */
const SILENCE_MAX_MS = 250;
const RECEIVE_BYTES = 64 * 1024;
const POLLFD_BYTES = 8;
/** @see poll(2) */
const POLLIN = 1;
/** @see asm-generic/errno.h */
const EAGAIN = 11;
const EINTR = 4;
const SHUT_RDWR = 2;

/** One connection and the questions that were asked on it. */
interface Line {
  readonly index: number;
  readonly fd: number;
  readonly questions: QuestionQueue;
  readonly bytes: Uint8Array;
  readonly address: number;
  /** Bytes of a reply that has not come whole. */
  filled: number;
  /** Questions that were answered when we last looked, and since when no other was. */
  answered: number;
  sinceMs: number;
}

/** What the loop works with. */
export interface ReplyLoopOptions {
  readonly libc: Libc;
  readonly data: ShortcutData;
  readonly answerer: Answerer;
  readonly stats: ShortcutStats;
  /** The main thread should take the notes. */
  readonly notesAreMany: () => boolean;
  readonly post: (message: AnswererMessage) => void;
}

/** Waits for the server's replies and has them answered, in a thread of its own. */
export class ReplyLoop {
  readonly #options: ReplyLoopOptions;
  readonly #switchboard: Switchboard;
  readonly #lines: readonly Line[];
  readonly #pollWords: Int32Array;
  readonly #pollAddress: number;
  readonly #reply = new DirectReply();
  #lookedMs = machineMs();

  constructor(options: ReplyLoopOptions) {
    const { libc, data } = options;
    this.#options = options;
    this.#switchboard = new Switchboard(data.switchboard);
    this.#lines = data.lines.map(({ fd, questions }, index) => {
      const bytes = new Uint8Array(new ArrayBuffer(RECEIVE_BYTES));
      return {
        index,
        fd,
        questions: QuestionQueue.attach(questions),
        bytes,
        address: libc.addressOf(bytes),
        filled: 0,
        answered: 0,
        sinceMs: 0,
      };
    });
    const polls = new Uint8Array(new ArrayBuffer(this.#lines.length * POLLFD_BYTES));
    this.#pollWords = new Int32Array(polls.buffer);
    this.#pollAddress = libc.addressOf(polls);
  }

  /** Returns when the shortcut is stopped. What was asked then goes back to the main thread. */
  run(): void {
    const { libc } = this.#options;
    while (!this.#switchboard.isStopped) {
      this.#preparePoll();
      const count = libc.poll(this.#pollAddress, this.#lines.length, POLL_MS);
      if (count > 0) this.#receiveAll();
      const nowMs = machineMs();
      if (nowMs - this.#lookedMs >= POLL_MS) this.#lookAfter(nowMs);
    }
    for (const line of this.#lines) this.#end(line);
  }

  #preparePoll(): void {
    for (const line of this.#lines) {
      const state = this.#switchboard.state(line.index);
      if (state === LineState.ready) this.#begin(line);
      this.#pollWords[line.index * 2] = state === LineState.off ? -1 : line.fd;
      this.#pollWords[line.index * 2 + 1] = POLLIN;
    }
  }

  #begin(line: Line): void {
    line.filled = 0;
    line.answered = line.questions.answered;
    line.sinceMs = machineMs();
    this.#switchboard.setState(line.index, LineState.on);
  }

  #receiveAll(): void {
    for (const line of this.#lines) {
      // The upper half are the events that came.
      if ((this.#pollWords[line.index * 2 + 1] as number) >>> 16 !== 0) this.#receive(line);
    }
    if (this.#options.notesAreMany() && this.#switchboard.askForNotes()) {
      this.#options.post({ type: 'notes' });
    }
  }

  #receive(line: Line): void {
    const { libc } = this.#options;
    const room = RECEIVE_BYTES - line.filled;
    const count = libc.read(line.fd, line.address + line.filled, room);
    if (count > 0) {
      line.filled += count;
      this.#takeReplies(line);
      return;
    }
    const errno = count === 0 ? 0 : libc.errno();
    if (errno === EAGAIN || errno === EINTR) return;
    this.#lose(line, 'closed', errno === 0 ? 'the server hung up' : `errno ${errno}`);
  }

  #takeReplies(line: Line): void {
    let at = 0;
    try {
      for (;;) {
        const next = readReply(line.bytes, at, line.filled, this.#reply);
        if (next === -1) break;
        if (!line.questions.look()) throw new Error('a reply that nobody asked for');
        this.#checkReply();
        this.#takeReply(line);
        at = next;
      }
    } catch (error) {
      this.#lose(line, 'odd', error instanceof Error ? error.message : String(error));
      return;
    }
    if (at > 0) line.bytes.copyWithin(0, at, line.filled);
    line.filled -= at;
  }

  /** A server that forgot the script is told it again by the main thread's look-up. */
  #checkReply(): void {
    const { kind, message } = this.#reply;
    if (kind === 'error' && !message.startsWith('NOSCRIPT')) throw new Error(message);
  }

  #takeReply({ questions, bytes }: Line): void {
    const { answerer, stats } = this.#options;
    const isAnswered = answerer.answer(questions, bytes, this.#reply);
    if (isAnswered) stats.count(opcodeOf(questions.words), machineMs() - questions.askedMs);
    else this.#giveBack(questions);
    questions.drop();
  }

  #giveBack(questions: QuestionQueue): void {
    const frame = questions.frame.slice(0, questions.length);
    this.#options.post({ type: 'frame', frame });
  }

  #lookAfter(nowMs: number): void {
    this.#lookedMs = nowMs;
    for (const line of this.#lines) {
      if (this.#switchboard.state(line.index) !== LineState.on) continue;
      const { answered } = line.questions;
      if (answered !== line.answered || !line.questions.look()) {
        line.answered = answered;
        line.sinceMs = nowMs;
      } else if (nowMs - line.sinceMs > SILENCE_MAX_MS) {
        this.#lose(line, 'silent', `no reply within ${SILENCE_MAX_MS} ms`);
      }
    }
  }

  #lose(line: Line, reason: LossReason, message: string): void {
    this.#end(line);
    this.#options.post({ type: 'lost', line: line.index, reason, message });
  }

  /** No worker asks here any more; what was asked goes back. */
  #end(line: Line): void {
    this.#switchboard.close(line.index);
    this.#options.libc.shutdown(line.fd, SHUT_RDWR);
    while (line.questions.look()) {
      this.#giveBack(line.questions);
      line.questions.drop();
    }
  }
}
