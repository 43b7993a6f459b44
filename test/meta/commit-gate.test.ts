import { expect, it } from 'vitest';
import { CommitGate } from '../../src/meta/commit-gate.ts';

it('passes an abort on while nothing is committed', async () => {
  const outer = new AbortController();
  const gate = new CommitGate(outer.signal);
  outer.abort(new Error('enough'));
  expect(gate.signal.aborted).toBe(true);
  await expect(gate.commit(async () => 'done')).rejects.toThrow('enough');
  gate.close();
});

it('a commit that is under way is waited for, and what comes of it told', async () => {
  const outer = new AbortController();
  const gate = new CommitGate(outer.signal);
  const answer = Promise.withResolvers<string>();
  const committed = gate.commit(() => answer.promise);
  expect(gate.isCommitting).toBe(true);
  outer.abort(new Error('enough'));
  expect(gate.signal.aborted).toBe(false);
  answer.resolve('done');
  await expect(committed).resolves.toBe('done');
  expect(gate.isCommitting).toBe(false);
  await expect(gate.commit(async () => 'again')).rejects.toThrow('enough');
  gate.close();
});

it('is aborted from the beginning by a signal that is', () => {
  const gate = new CommitGate(AbortSignal.abort(new Error('before')));
  expect(gate.signal.aborted).toBe(true);
  gate.close();
});
