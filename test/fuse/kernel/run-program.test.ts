import { expect, test } from 'vitest';
import { runProgram } from '../../../src/fuse/kernel/run-program.ts';
import { manualClock } from '../../store/manual-clock.ts';

const TIMEOUT_MS = 10_000;

test('a program is not waited for beyond the deadline, even when something of it cannot be killed', async () => {
  const clock = manualClock();
  // What it leaves behind holds its error output, as a program in an uninterruptible call does.
  const running = runProgram(['sh', '-c', 'echo begun >&2; sleep 3 & sleep 3'], { clock });
  const late = new Promise<string>((resolve) => void setTimeout(() => resolve('late'), 1_500));
  await new Promise((resolve) => void setTimeout(resolve, 200));
  await clock.advance(TIMEOUT_MS);
  expect(await Promise.race([running, late])).toMatchObject({ exitCode: undefined });
});

test('how a program ended and what it complained of is told', async () => {
  const clock = manualClock();
  const result = await runProgram(['sh', '-c', 'echo no >&2; exit 3'], { clock });
  expect(result).toEqual({ exitCode: 3, output: 'no' });
  expect(clock.timers).toBe(0);
});
