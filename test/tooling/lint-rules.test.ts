import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { projectDir, runProgram } from '../../tools/run-program.ts';
import { makeTempDir } from '../servers/temp.ts';

/**
 * A linter that is not set up right finds nothing, as in clean code. So here the project's own
 * configuration has to find planted mistakes, and where they are allowed it has to be silent.
 */
const FILES: Readonly<Record<string, string>> = {
  'src/mesh/time.ts': `export const time = (): number => Date.now() + performance.now();
export const chance = (): number => Math.random();
export const limit = (): AbortSignal => AbortSignal.timeout(5);
export const later = (): unknown => setTimeout(() => undefined, 5);
`,
  'src/mesh/timers.ts': `import { setTimeout as sleep } from 'node:timers/promises';
export const wait = (): Promise<void> => sleep(5);
`,
  'src/mesh/settings.ts': `export const home = (): unknown => process.env['HOME'] ?? process.argv;
export const end = (): never => process.exit(1);
`,
  'src/mesh/floating.ts': `export const work = async (): Promise<void> => undefined;
export const start = (): void => {
  work();
};
`,
  'src/mesh/switch.ts': `export function shade(tone: 'dark' | 'light'): number {
  switch (tone) {
    case 'dark':
      return 0;
  }
  return 1;
}
`,
  'src/mesh/params.ts': `export const sum = (a: number, b: number, c: number, d: number, e: number): number =>
  a + b + c + d + e;
export const loose = (x: any): unknown => x;
`,
  'src/mesh/first.ts': `import { second } from './second.ts';
export const first = (): number => second();
`,
  'src/mesh/second.ts': `import { first } from './first.ts';
export const second = (): number => first();
`,
  'src/mesh/long-file.ts': 'export const lines = [\n' + '  1,\n'.repeat(400) + '];\n',
  'src/mesh/long-function.ts': `export function long(): number {
  let sum = 0;
${'  sum += 1;\n'.repeat(70)}  return sum;
}
`,
};

interface LintReport {
  readonly diagnostics: readonly {
    readonly code: string;
    readonly filename: string;
    readonly message: string;
  }[];
}

let report: LintReport;
const rulesIn = (file: string): string[] => [
  ...new Set(report.diagnostics.filter(({ filename }) => filename === file).map((d) => d.code)),
];

beforeAll(async () => {
  const dir = await makeTempDir('lint');
  const allowed = {
    'src/runtime/time.ts': FILES['src/mesh/time.ts'] ?? '',
    'src/runtime/timers.ts': FILES['src/mesh/timers.ts'] ?? '',
    'src/daemon/settings.ts': FILES['src/mesh/settings.ts'] ?? '',
    'test/time.test.ts': FILES['src/mesh/time.ts'] ?? '',
  };
  for (const [path, text] of Object.entries({ ...FILES, ...allowed })) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
  for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) {
    await copyFile(join(projectDir, name), join(dir, name));
  }
  await symlink(join(projectDir, 'node_modules'), join(dir, 'node_modules'));
  const { stdout } = await runProgram(['oxlint', '--format', 'json', '.'], { cwd: dir });
  report = JSON.parse(stdout) as LintReport;
});

describe('lint', () => {
  it.each([
    ['src/mesh/time.ts', ['eslint(no-restricted-globals)', 'eslint(no-restricted-properties)']],
    ['src/mesh/timers.ts', ['eslint(no-restricted-imports)']],
    ['src/mesh/settings.ts', ['eslint(no-restricted-properties)']],
    ['src/mesh/floating.ts', ['typescript(no-floating-promises)']],
    ['src/mesh/switch.ts', ['typescript(switch-exhaustiveness-check)']],
    ['src/mesh/params.ts', ['eslint(max-params)', 'typescript(no-explicit-any)']],
    ['src/mesh/first.ts', ['import(no-cycle)']],
    ['src/mesh/long-file.ts', ['eslint(max-lines)']],
    ['src/mesh/long-function.ts', ['eslint(max-lines-per-function)']],
  ])('finds the mistakes in %s', (file, rules) => {
    expect(rulesIn(file).sort()).toEqual(rules);
  });

  it.each(['src/runtime/time.ts', 'src/runtime/timers.ts', 'src/daemon/settings.ts'])(
    'allows in %s what it forbids elsewhere',
    (file) => {
      expect(rulesIn(file)).toEqual([]);
    },
  );

  it('gives the reason', () => {
    const messages = report.diagnostics
      .filter(({ filename }) => filename === 'src/mesh/time.ts')
      .map((diagnostic) => JSON.stringify(diagnostic));
    expect(messages).toHaveLength(5);
    for (const message of messages) expect(message).toContain('cannot replay a run');
  });
});
