import { vi } from 'vitest';
import { runCli } from '../../src/daemon/cli.ts';
import type { Ended } from './cli.ts';

/**
 * Runs the command line in this process, which spares the start of another one: for commands that read
 * nothing from standard input. One at a time.
 */
export async function runHere(words: readonly string[]): Promise<Ended> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  try {
    const status = await runCli(['node', 'cachemesh', ...words]);
    return { status, ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
