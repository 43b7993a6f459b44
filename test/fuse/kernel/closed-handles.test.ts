import { expect, test } from 'vitest';
import { ClosedHandles } from '../../../src/fuse/kernel/closed-handles.ts';

const FRAME = Uint8Array.from({ length: 64 }, (_, index) => index + 1);

test('closed handles come in order, marked as answered, and are bounded', () => {
  const worker = ClosedHandles.create();
  const main = ClosedHandles.attach(worker.shared);
  let noted = 0;
  for (; worker.add(FRAME, 40 + (noted % 25)); noted += 1);
  expect([noted, main.waiting]).toEqual([256, 256]);
  for (let index = 0; index < noted; index += 1) {
    const expected = FRAME.slice(0, 40 + (index % 25)).fill(0, 8, 16);
    expect(main.take()).toEqual(expected);
  }
  expect(main.take()).toBeUndefined();
  expect(worker.add(FRAME, 64)).toBe(true);
});

test('what is longer than such a request is not taken', () => {
  const closed = ClosedHandles.create();
  expect(closed.add(new Uint8Array(72), 72)).toBe(false);
});
