import { describe, expect, test } from 'vitest';
import { fusermount } from '../../../src/fuse/kernel/fusermount.ts';
import type { ProgramResult } from '../../../src/fuse/kernel/run-program.ts';
import { systemClock } from '../../../src/runtime/clock.ts';
import { loadLibc } from '../../../src/runtime/system/libc.ts';

const libc = loadLibc();

describe.skipIf(libc === undefined)('a helper that mounts and hands over no device', () => {
  async function commandsOf(undo: ProgramResult): Promise<{ commands: string[]; error: string }> {
    if (libc === undefined) throw new Error('skipped without it');
    const commands: string[] = [];
    const run = (command: readonly string[]) => {
      commands.push(command.join(' '));
      return Promise.resolve(commands.length === 1 ? { exitCode: 0, output: '' } : undo);
    };
    const means = { libc, clock: systemClock, run };
    const error = await fusermount('/mnt/here', 'rw', means).catch(String);
    return { commands, error: String(error) };
  }

  test('leaves no mount behind', async () => {
    const { commands, error } = await commandsOf({ exitCode: 0, output: '' });
    expect(commands).toEqual([
      'fusermount3 -o rw -- /mnt/here',
      'fusermount3 -u -z -q -- /mnt/here',
    ]);
    expect(error).toMatch(/handed over no device; it was unmounted again/);
  });

  test('and cannot unmount either is told about', async () => {
    const { error } = await commandsOf({ exitCode: 1, output: 'not allowed' });
    expect(error).toMatch(/handed over no device; unmounting failed: not allowed/);
  });
});
