/**
 * All checks and all tests: `npm test`. Arguments go to vitest: `npm test -- --project unit`.
 *
 * Afterwards nothing may be left of the run: no process, no mount, no folder. What is left is
 * removed and counts as a failure. The last line is `N passed, N failed`.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './run-program.ts';
import { RUN_ID_VARIABLE, watchLeftovers } from './test-run/leftovers.ts';
import { installMissingPackages } from './test-run/system-packages.ts';
import { countTests, type TestCounts } from './test-run/vitest-report.ts';

/** A run that hangs must end by itself, with its leftovers removed, before CI gives up on it. */
const TIME_LIMIT_MS = 24 * 60_000;

const interrupted = new AbortController();
const stop = AbortSignal.any([interrupted.signal, AbortSignal.timeout(TIME_LIMIT_MS)]);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => interrupted.abort());
}

/** @returns whether the step succeeded; a step that was stopped did not */
async function step(title: string, command: readonly [string, ...string[]]): Promise<boolean> {
  if (stop.aborted) return false;
  console.log(`\n== ${title}`);
  const { code } = await runProgram(command, { show: true, signal: stop });
  return code === 0;
}

async function runVitest(runId: string): Promise<TestCounts> {
  const reportPath = join(tmpdir(), `cachemesh-${runId}.report.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
  console.log('\n== tests');
  try {
    await runProgram(['vitest', 'run', ...reporters, ...process.argv.slice(2)], {
      show: true,
      signal: stop,
      // Tests start what the build has made, as users do.
      env: { [RUN_ID_VARIABLE]: runId, CACHEMESH_TEST_COMPILED: '1' },
    });
    return await countTests(reportPath);
  } finally {
    await rm(reportPath, { force: true });
  }
}

async function runEverything(): Promise<TestCounts & { readonly problems: readonly string[] }> {
  const runId = randomBytes(4).toString('hex');
  const problems: string[] = [];
  await installMissingPackages();
  if (!(await step('checks', ['node', 'tools/check.ts']))) problems.push('checks');
  if (!(await step('build', ['npm', 'run', '--silent', 'build']))) problems.push('build');
  const leftovers = await watchLeftovers(runId);
  const counts = stop.aborted ? { passed: 0, failed: 0, skipped: [] } : await runVitest(runId);
  const left = await leftovers.cleanUp();
  if (stop.aborted) problems.push(interrupted.signal.aborted ? 'interrupted' : 'time limit');
  if (left.length > 0) problems.push(`left behind:\n  ${left.join('\n  ')}`);
  return { ...counts, problems };
}

const { passed, failed, skipped, problems } = await runEverything();
console.log('');
for (const name of skipped) console.log(`skipped: ${name}`);
for (const problem of problems) console.log(`failed: ${problem}`);
const failures = failed + problems.length;
const skips = skipped.length > 0 ? `, ${skipped.length} skipped` : '';
process.exitCode = failures > 0 || passed === 0 ? 1 : 0;
console.log(`${passed} passed, ${failures} failed${skips}`);
