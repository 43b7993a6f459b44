import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { findProgram, runProgram } from './program.ts';

/** Where the numbers come from. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly distribution: string;
  readonly node: string;
  readonly juicefs: string;
  readonly fio: string;
  /** Of the last minute, before the run: others used the machine when it is not near 0. */
  readonly loadBefore: number;
  /** What was done to its memory, if anything. */
  readonly memory: string | undefined;
  readonly commit: string;
  /** Files differ from the commit. */
  readonly dirty: boolean;
}

const TIMEOUT_MS = 10_000;

/** Collects facts about this machine and the programs. */
export async function describeMachine(
  projectDir: string,
  signal: AbortSignal,
): Promise<Omit<Machine, 'memory'>> {
  const ask = (...command: [string, ...string[]]) =>
    runProgram(command, { timeoutMs: TIMEOUT_MS, signal, cwd: projectDir }).then(
      (output) => output.trim(),
      () => '',
    );
  const version = async (name: string) =>
    (await findProgram(name, signal)) === undefined ? 'not installed' : ask(name, '--version');
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    distribution: distribution(),
    node: process.version,
    juicefs: await version('juicefs'),
    fio: await version('fio'),
    loadBefore: loadavg()[0] ?? 0,
    commit: await ask('git', 'rev-parse', '--short', 'HEAD'),
    dirty: (await ask('git', 'status', '--porcelain', '--', 'src', 'bench')) !== '',
  };
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
