import { expect, test } from 'vitest';
import { SlotRing } from '../../src/runtime/slot-ring.ts';

test('hands over what was pushed, in order, and is full when all slots are', () => {
  const producer = SlotRing.create(8, 4);
  const consumer = SlotRing.attach(producer.shared);
  let next = 0;
  let expected = 0;
  // Many times around, so that the counters pass the end of the ring.
  for (let round = 0; round < 50; round += 1) {
    for (let at = producer.claim(); at !== -1; at = producer.claim()) {
      producer.view.setUint32(at, next++, true);
      producer.push();
    }
    expect(producer.used).toBe(4);
    for (let at = consumer.peek(); at !== -1; at = consumer.peek()) {
      expect(consumer.view.getUint32(at, true)).toBe(expected++);
      consumer.drop();
      if (expected % 3 === 0) break;
    }
  }
  expect(consumer.taken).toBe(expected);
  expect(expected).toBeGreaterThan(100);
});

test('nothing is found before it is pushed', () => {
  const ring = SlotRing.create(16, 2);
  const at = ring.claim();
  ring.view.setUint32(at, 7, true);
  expect(ring.peek()).toBe(-1);
  ring.push();
  expect(ring.peek()).toBe(at);
});
