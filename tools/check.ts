/**
 * All static checks, one after the other, with a summary at the end: `npm run check`.
 * A failing check does not stop the others, so one run shows everything that is to be done.
 */
import { existsSync } from 'node:fs';
import { projectDir, runProgram } from './run-program.ts';

interface Check {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

const CHECKS: readonly Check[] = [
  { name: 'types', command: ['tsc', '-p', 'tsconfig.json'] },
  { name: 'lint', command: ['oxlint'] },
  { name: 'format', command: ['biome', 'format', '.'] },
  {
    name: 'layers',
    command: [
      'depcruise',
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'err-long',
      'src',
    ],
  },
  { name: 'layer canary', command: ['node', 'tools/layer-canary.ts'] },
  { name: 'dead code', command: ['knip', '--no-progress'] },
];

/** Runs one check and prints its output only when it failed. */
async function passes(check: Check): Promise<boolean> {
  const startedMs = performance.now();
  const { code, stdout, stderr } = await runProgram(check.command);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${check.name} (${seconds} s)`);
  if (code !== 0) console.log(`${stdout}${stderr}`.trimEnd());
  return code === 0;
}

if (!existsSync(`${projectDir}node_modules`)) {
  console.error('node_modules is missing: run "npm ci" first');
  process.exit(1);
}
const failed: string[] = [];
for (const check of CHECKS) {
  if (!(await passes(check))) failed.push(check.name);
}
console.log(
  failed.length === 0
    ? `check: all ${CHECKS.length} checks passed`
    : `check: ${failed.length} of ${CHECKS.length} checks failed: ${failed.join(', ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
