import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { countTests } from '../../tools/test-run/vitest-report.ts';
import { makeTempDir } from '../servers/temp.ts';

async function count(report: unknown) {
  const path = join(await makeTempDir('report'), 'report.json');
  await writeFile(path, JSON.stringify(report));
  return countTests(path);
}

const test = (status: string, fullName = status) => ({ status, fullName });
const file = (status: string, ...assertionResults: ReturnType<typeof test>[]) => ({
  name: 'a.test.ts',
  status,
  assertionResults,
});

it('tests are counted by how they ended', async () => {
  const tests = [test('passed'), test('passed'), test('failed'), test('skipped'), test('todo')];
  expect(await count({ success: false, testResults: [file('failed', ...tests)] })).toEqual({
    passed: 2,
    failed: 1,
    skipped: ['skipped', 'todo'],
  });
});

it('a file that cannot be loaded is a failure', async () => {
  const testResults = [file('failed'), file('passed', test('passed'))];
  expect(await count({ success: false, testResults })).toMatchObject({ passed: 1, failed: 1 });
});

it('a run that failed outside of its tests is a failure', async () => {
  const testResults = [file('passed', test('passed'))];
  expect(await count({ success: false, testResults })).toMatchObject({ passed: 1, failed: 1 });
});

it('a missing report is a failure', async () => {
  expect(await countTests('/none/report.json')).toMatchObject({ passed: 0, failed: 1 });
});
