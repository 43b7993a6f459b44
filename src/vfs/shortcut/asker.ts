import assert from 'node:assert/strict';
import type { RequestShortcut } from '../../fuse/kernel/request-shortcut.ts';
import { DirectRequests } from '../../meta/redis/direct-requests.ts';
import { machineMs } from '../../runtime/clock.ts';
import { type Libc, loadLibc } from '../../runtime/system/libc.ts';
import { inoHighOf, inoLowOf, isQuestion, nameOf, Opcode, opcodeOf } from './question.ts';
import { KnownOpener } from './known-opener.ts';
import { QuestionQueue } from './question-queue.ts';
import type { ShortcutData } from './shortcut-data.ts';
import { Switchboard } from './switchboard.ts';

/** @see linux/socket.h */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const SHUT_RDWR = 2;
/** The kernel's inode of the mount's root. */
const ROOT_LOW = 1;

/** In a worker thread of the driver: sends questions to the metadata server and goes on. */
class Asker implements RequestShortcut {
  readonly #libc: Libc;
  readonly #data: ShortcutData;
  readonly #line: number;
  readonly #fd: number;
  readonly #switchboard: Switchboard;
  readonly #questions: QuestionQueue;
  readonly #requests: DirectRequests;
  readonly #requestAddress: number;
  readonly #opener: KnownOpener | undefined;

  constructor(libc: Libc, data: ShortcutData, line: number) {
    const own = data.lines[line];
    assert(own !== undefined, `worker ${line} has no connection`);
    this.#libc = libc;
    this.#data = data;
    this.#line = line;
    this.#fd = own.fd;
    this.#switchboard = new Switchboard(data.switchboard);
    this.#questions = QuestionQueue.attach(own.questions);
    this.#requests = new DirectRequests(data.keyPrefix);
    this.#requestAddress = libc.addressOf(this.#requests.bytes);
    const { opening, root } = data;
    const switchboard = this.#switchboard;
    this.#opener =
      opening && new KnownOpener(libc, { opening, root }, { ...own, line, switchboard });
  }

  take(frame: Uint8Array, words: Uint32Array, length: number): boolean {
    if (!isQuestion(frame, words, length)) return false;
    if (opcodeOf(words) === Opcode.open && this.#opener?.open(words) === true) return true;
    const mayAsk = this.#switchboard.enter(this.#line);
    const isTaken = mayAsk && this.#questions.add(frame, length, this.#now());
    if (isTaken) this.#send(this.#write(frame, words, length));
    this.#switchboard.leave(this.#line);
    return isTaken;
  }

  #now(): { nowMs: number; ticket: number } {
    return { nowMs: machineMs(), ticket: this.#switchboard.ticket };
  }

  #write(frame: Uint8Array, words: Uint32Array, length: number): number {
    let low = inoLowOf(words);
    let high = inoHighOf(words);
    if (low === ROOT_LOW && high === 0) ({ low, high } = this.#data.root);
    if (opcodeOf(words) !== Opcode.lookup) return this.#requests.writeGetattr(low, high);
    return this.#requests.writeLookup(low, high, nameOf(frame, length));
  }

  #send(length: number): void {
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const sent = this.#libc.send(this.#fd, this.#requestAddress, length, flags);
    // The answering thread sees the end and gives back what waits, this question included.
    if (sent !== length) this.#libc.shutdown(this.#fd, SHUT_RDWR);
  }
}

/** @see ShortcutModule.openShortcut */
export function openShortcut(data: unknown, worker: number): RequestShortcut {
  const libc = loadLibc();
  assert(libc !== undefined, 'the main thread has libc');
  return new Asker(libc, data as ShortcutData, worker);
}
