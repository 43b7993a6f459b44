import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MetaError } from '../../../src/meta/engine.ts';
import { DirectReply, readReply } from '../../../src/meta/redis/direct-reply.ts';

const item = fc.option(fc.uint8Array({ maxLength: 100 }), { nil: undefined });

function bulk(bytes: Uint8Array | undefined): Buffer {
  if (bytes === undefined) return Buffer.from('$-1\r\n');
  return Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]);
}

/** Where the next reply begins; −1 also for bytes that were refused. @throws any other error */
function nextOrRefusal(bytes: Uint8Array): number {
  try {
    return readReply(bytes, 0, bytes.length, new DirectReply());
  } catch (error) {
    if (error instanceof MetaError) return -1;
    throw error;
  }
}

function itemsOf(bytes: Uint8Array, reply: DirectReply): (Buffer | undefined)[] {
  return Array.from({ length: reply.count }, (_, index) => {
    const start = reply.starts[index] as number;
    const length = reply.lengths[index] as number;
    return length === -1 ? undefined : Buffer.from(bytes.slice(start, start + length));
  });
}

test('reads plain values and pairs, and waits while any byte is missing', () => {
  fc.assert(
    fc.property(item, item, fc.boolean(), fc.nat(50), (first, second, isPair, before) => {
      const body = isPair
        ? Buffer.concat([Buffer.from('*2\r\n'), bulk(first), bulk(second)])
        : bulk(first);
      const bytes = Buffer.concat([Buffer.alloc(before, 'x'), body, Buffer.from('$1')]);
      const end = before + body.length;
      const reply = new DirectReply();
      for (let partial = before; partial < end; partial += 1) {
        expect(readReply(bytes, before, partial, reply)).toBe(-1);
      }
      expect(readReply(bytes, before, end, reply)).toBe(end);
      const wanted = (isPair ? [first, second] : [first]).map(
        (value) => value && Buffer.from(value),
      );
      expect(reply.kind).toBe(isPair || first !== undefined ? 'items' : 'nil');
      expect(reply.kind === 'nil' ? [undefined] : itemsOf(bytes, reply)).toEqual(wanted);
    }),
  );
});

test('gives errors their message', () => {
  const bytes = Buffer.from('-NOSCRIPT No matching script.\r\n');
  const reply = new DirectReply();
  expect(readReply(bytes, 0, bytes.length, reply)).toBe(bytes.length);
  expect(reply).toMatchObject({ kind: 'error', message: 'NOSCRIPT No matching script.' });
});

test('any other bytes are waited for or refused', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom('', '*', '$', '*2\r\n$'),
      (tail, head) => {
        const bytes = Buffer.concat([Buffer.from(head), tail, Buffer.from('\r\n')]);
        expect(nextOrRefusal(bytes)).toBeLessThanOrEqual(bytes.length);
      },
    ),
    { numRuns: 2000 },
  );
});
