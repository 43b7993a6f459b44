import { describe, expect, test } from 'vitest';
import { blockIdOf } from '../../src/block/block-key.ts';
import { PeerError } from '../../src/peer/block-exchange.ts';
import { allBlocks, bytesOf, heldBlocks } from '../peer/test-hosts.ts';
import { key, type MakePair, never, pairsOfTests, whole } from './exchange-pair.ts';

/** What every exchange of many blocks at once does. */
export function peerManyContract(name: string, makePair: MakePair): void {
  describe(`${name}: many blocks`, () => {
    const pairOf = pairsOfTests(makePair);

    test('many small blocks come in one request, held or not, each with its own bytes', async () => {
      const { handler, count } = heldBlocks(({ index }) => index % 3 > 0);
      const { client, server } = await pairOf(handler);
      const done = new Map<string, PeerError | undefined>();
      const wanted = Array.from({ length: 300 }, (_, index) => {
        const small = { sliceId: BigInt(index * 7 + 1), index, sizeBytes: 1 + index * 211 };
        const into = new Uint8Array(small.sizeBytes);
        const onDone = (error: PeerError | undefined) => void done.set(blockIdOf(small), error);
        return { key: small, into, onDone };
      });
      await client.getMany(server, wanted, { signal: never });
      expect([...done.values()]).toEqual(Array(300).fill(undefined));
      for (const { key: small, into } of wanted) {
        expect(Buffer.compare(into, bytesOf(small))).toBe(0);
      }
      await expect.poll(() => count.held).toBe(0);
      await client.getMany(server, [], { signal: never });
    });

    test('of many blocks the one that fails is named, and the others come', async () => {
      const good = allBlocks(10_000);
      const { client, server } = await pairOf({
        ...good,
        async *serve(asked, range, signal, by) {
          if (asked.index === 1) throw new PeerError('absent', 'block 1 is not here');
          if (asked.index === 2) throw new Error('the disk is on fire');
          yield* good.serve(asked, range, signal, by);
        },
      });
      const errors: (PeerError | undefined)[] = [];
      const wanted = Array.from({ length: 20 }, (_, index) => ({
        key: { sliceId: 9n, index, sizeBytes: 30_000 },
        into: new Uint8Array(30_000),
        onDone: (error: PeerError | undefined) => void (errors[index] = error),
      }));
      await client.getMany(server, wanted, { signal: never });
      expect(errors[1]).toMatchObject({ name: 'PeerError', code: 'absent' });
      expect(errors[2]).toMatchObject({
        code: 'failed',
        message: expect.stringContaining('the disk is on fire'),
      });
      wanted.forEach(({ key: small, into }, index) => {
        if (index === 1 || index === 2) return;
        expect(errors[index]).toBe(undefined);
        expect(Buffer.compare(into, bytesOf(small))).toBe(0);
      });
    });

    test('an abort of many blocks leaves all buffers alone from then on', async () => {
      const good = allBlocks();
      const gate = Promise.withResolvers<void>();
      const { client, server } = await pairOf({
        ...good,
        async *serve(asked, range, signal, by) {
          if (asked.index > 3) await gate.promise;
          yield* good.serve(asked, range, signal, by);
        },
      });
      const controller = new AbortController();
      let done = 0;
      const wanted = Array.from({ length: 8 }, (_, index) => ({
        key: { sliceId: 9n, index, sizeBytes: 60_000 },
        into: new Uint8Array(60_000),
        onDone: () => {
          done += 1;
          if (done === 2) controller.abort(new Error('enough'));
        },
      }));
      const got = client.getMany(server, wanted, { signal: controller.signal });
      await expect(got).rejects.toThrow('enough');
      for (const { into } of wanted) into.fill(0x55);
      gate.resolve();
      const next = new Uint8Array(key.sizeBytes);
      await client.fill(server, key, whole, next, { signal: never });
      expect(done).toBe(2);
      for (const { into } of wanted) expect(into.every((byte) => byte === 0x55)).toBe(true);
    });
  });
}
