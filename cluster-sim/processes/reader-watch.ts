import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReaderEvent, ReaderPlan } from './checking-reader.ts';
import type { FaultLog } from './fault-log.ts';
import type { ProcessNode } from './process-node.ts';

const PROGRAM = fileURLToPath(new URL('./checking-reader.ts', import.meta.url));
const END_TIMEOUT_MS = 60_000;

/** What one reader saw, after judging. */
export interface ReaderReport {
  readonly reads: number;
  /** Wrong bytes, and failures while its own daemon was there. */
  readonly violations: readonly string[];
  /** Longest call while its own daemon, metadata and one source of the bytes were there. */
  readonly longestMs: number;
  readonly longestText: string;
  /** Failures while its own daemon was meant to be away. */
  readonly excused: number;
}

/** Watches a checking reader on one mount and judges what it tells. */
export class ReaderWatch {
  readonly #node: ProcessNode;
  readonly #faults: FaultLog;
  readonly #events: ReaderEvent[] = [];
  readonly #child;
  readonly #exited: Promise<unknown[]>;

  /** Starts the reader. */
  constructor(node: ProcessNode, plan: ReaderPlan, faults: FaultLog) {
    this.#node = node;
    this.#faults = faults;
    this.#child = fork(PROGRAM, [JSON.stringify(plan)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#exited = once(this.#child, 'exit');
    this.#child.on('message', (event) => void this.#events.push(event as ReaderEvent));
  }

  /** Ends the reader. @returns its verdict */
  async end(): Promise<ReaderReport> {
    if (this.#child.connected) this.#child.send('end');
    const exit = await Promise.race([
      this.#exited,
      sleep(END_TIMEOUT_MS, undefined, { ref: false }),
    ]);
    if (exit === undefined) this.kill();
    const report = this.#judge();
    return { ...report, violations: [...report.violations, ...this.#badEnd(exit)] };
  }

  /** A reader that died by itself has checked nothing since. */
  #badEnd(exit: readonly unknown[] | undefined): string[] {
    const { name } = this.#node;
    if (exit === undefined) return [`${name}: a read did not return in ${END_TIMEOUT_MS} ms`];
    const [code, signal] = exit;
    return code === 0 ? [] : [`${name}: its reader ended with ${String(code ?? signal)}`];
  }

  /** Ends it at once, if it is there still. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #judge(): ReaderReport {
    const violations: string[] = [];
    let [longestMs, longestText, excused, reads] = [0, '', 0, 0];
    for (const event of this.#events) {
      const { kind, startMs, endMs } = event;
      reads = Math.max(reads, event.reads);
      const isAway = this.#node.wasAway(startMs, endMs);
      if (kind === 'wrong' || (kind === 'failed' && !isAway)) violations.push(this.#text(event));
      if (kind === 'failed' && isAway) excused += 1;
      const isStall = kind === 'slow' && !isAway && this.#couldBeAnswered(startMs, endMs);
      if (isStall && endMs - startMs > longestMs) {
        [longestMs, longestText] = [endMs - startMs, this.#text(event)];
      }
    }
    return { reads, violations, longestMs, longestText, excused };
  }

  /** While the origin fails, there may be no other copy; while metadata is away, nothing opens. */
  #couldBeAnswered(startMs: number, endMs: number): boolean {
    return !['origin', 'metadata'].some((kind) => this.#faults.had(kind, startMs, endMs));
  }

  #text({ kind, text, startMs, endMs }: ReaderEvent): string {
    const faults = this.#faults.during(startMs, endMs).join('; ') || 'no fault';
    return `${this.#node.name}: ${kind}: ${text}, after ${endMs - startMs} ms, during: ${faults}`;
  }
}
