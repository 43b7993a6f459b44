/**
 * Does system calls as somebody: `agent.ts UID GID GROUP,…`. Reads one JSON array a line, an operation
 * and its words, and answers each with a line of JSON: what came of it, an errno's name on failure.
 */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { errnoName } from './errno-name.ts';
import { OPERATIONS } from './operations.ts';

const [uid = 0, gid = 0] = process.argv.slice(2, 4).map(Number);
const groups = (process.argv[4] ?? '')
  .split(',')
  .filter((word) => word !== '')
  .map(Number);
const { setgroups, setgid, setuid } = process;
assert(setgroups !== undefined && setgid !== undefined && setuid !== undefined);
setgroups(groups);
setgid(gid);
setuid(uid);

function run([name = '', ...words]: readonly string[]): string {
  const operation = OPERATIONS[name];
  if (operation === undefined) return `there is no operation ${name}`;
  try {
    return operation(...words) ?? 'ok';
  } catch (error) {
    const { code, errno } = error as { code?: unknown; errno?: unknown };
    // What Node throws has an errno below 0.
    if (typeof errno === 'number') return errnoName(-errno);
    return typeof code === 'string' ? code : String(error);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(run(JSON.parse(line) as string[]))}\n`);
}
