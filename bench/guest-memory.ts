import { readFileSync, writeFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { runProgram } from './program.ts';

/**
 * Free blocks of this order and above are given back to the host of a virtual machine
 * (Linux, mm/page_reporting.c); one above the largest order there is keeps all.
 */
const REPORTED_ORDER = '/sys/module/page_reporting/parameters/page_reporting_order';
const NOTHING_REPORTED = '11';
/** Of the free memory; the rest keeps the machine alive while it is touched. */
const SHARE = 0.8;
const TIMEOUT_MS = 180_000;
const TOUCH = `
import mmap, sys
size = int(sys.argv[1])
memory = mmap.mmap(-1, size)
for place in range(0, size, 4096):
    memory[place] = 1
`;

/** What was done to the memory of the machine before measuring. */
export interface KeptMemory {
  /** For the head of the report. */
  readonly remark: string;
  /** Free pages go back to the host again. */
  release(): void;
}

/**
 * Makes the host of a virtual machine find its pages before the run and keep them in it. A page
 * that comes from the host for each first touch costs about 3 s per GB, six times what clearing it
 * costs, and cold rows would measure nothing else.
 *
 * @returns undefined on a machine that does not give pages back
 */
export async function keepGuestMemory(signal: AbortSignal): Promise<KeptMemory | undefined> {
  let before: string;
  try {
    before = readFileSync(REPORTED_ORDER, 'utf8').trim();
    writeFileSync(REPORTED_ORDER, NOTHING_REPORTED);
  } catch {
    return undefined;
  }
  const release = () => writeFileSync(REPORTED_ORDER, before);
  try {
    const sizeBytes = Math.floor(freemem() * SHARE);
    const command = ['python3', '-c', TOUCH, String(sizeBytes)] as const;
    await runProgram(command, { timeoutMs: TIMEOUT_MS, signal });
  } catch (error) {
    release();
    throw error;
  }
  return { remark: 'memory touched before and kept from the host', release };
}
