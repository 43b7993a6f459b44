import { describe, expect, test } from 'vitest';
import { allBlocks, bytesOf, heldBlocks } from '../peer/test-hosts.ts';
import { key, type MakePair, never, pairsOfTests, whole } from './exchange-pair.ts';

/** What every exchange of blocks between peers does when its reader goes away. */
export function peerAbortsContract(name: string, makePair: MakePair): void {
  describe(`${name}: aborts`, () => {
    const pairOf = pairsOfTests(makePair);

    test('an abort ends the wait and the work of the server, and the next request works', async () => {
      const stopped = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const good = allBlocks();
      let first = true;
      const { client, server } = await pairOf({
        async *serve(wanted, range, signal, asked) {
          if (first) {
            first = false;
            signal.addEventListener('abort', () => stopped.resolve(), { once: true });
            begun.resolve();
            await stopped.promise;
          }
          yield* good.serve(wanted, range, signal, asked);
        },
        holds: () => [],
      });
      const controller = new AbortController();
      const reason = new Error('the reader has gone');
      const into = new Uint8Array(key.sizeBytes).fill(0xaa);
      const filled = client.fill(server, key, whole, into, { signal: controller.signal });
      await begun.promise;
      controller.abort(reason);
      await expect(filled).rejects.toBe(reason);
      await stopped.promise;
      const again = new Uint8Array(key.sizeBytes);
      await client.fill(server, key, whole, again, { signal: never });
      expect(Buffer.compare(again, bytesOf(key))).toBe(0);
      expect(into.every((byte) => byte === 0xaa)).toBe(true);
    });

    test('an abort in the middle of the bytes leaves the buffer alone from then on', async () => {
      const { client, server } = await pairOf(allBlocks(30_000));
      const controller = new AbortController();
      const into = new Uint8Array(key.sizeBytes);
      let ready = 0;
      const filled = client.fill(server, key, whole, into, {
        signal: controller.signal,
        onProgress: (bytes) => {
          ready = bytes;
          if (bytes > 200_000) controller.abort(new Error('enough'));
        },
      });
      await expect(filled).rejects.toThrow('enough');
      const after = ready;
      into.fill(0x55);
      const next = new Uint8Array(key.sizeBytes);
      await client.fill(server, key, whole, next, { signal: never });
      expect(ready).toBe(after);
      expect(into.every((byte) => byte === 0x55)).toBe(true);
    });

    test('what is aborted already asks nobody', async () => {
      let served = 0;
      const { client, server } = await pairOf({
        async *serve() {
          served += 1;
          yield new Uint8Array(1);
        },
        holds: () => [],
      });
      const reason = new Error('too late');
      const signal = AbortSignal.abort(reason);
      const range = { offset: 0, length: 1 };
      const filled = client.fill(server, key, range, new Uint8Array(1), { signal });
      await expect(filled).rejects.toBe(reason);
      expect(served).toBe(0);
    });

    test('what the server holds is let go when the reader goes, and the next request works', async () => {
      const { handler, count } = heldBlocks();
      const { client, server } = await pairOf(handler);
      const big = { sliceId: 1n, index: 0, sizeBytes: 16_000_000 };
      const range = { offset: 0, length: big.sizeBytes };
      for (let round = 0; round < 5; round += 1) {
        const controller = new AbortController();
        const into = new Uint8Array(big.sizeBytes);
        const filled = client.fill(server, big, range, into, {
          signal: controller.signal,
          onProgress: (ready) => {
            if (ready > round * 1_000_000) controller.abort(new Error('enough'));
          },
        });
        await expect(filled).rejects.toThrow('enough');
        into.fill(0x55);
        const next = new Uint8Array(key.sizeBytes);
        await client.fill(server, key, whole, next, { signal: never });
        expect(Buffer.compare(next, bytesOf(key))).toBe(0);
        expect(into.every((byte) => byte === 0x55)).toBe(true);
      }
      await expect.poll(() => count.held).toBe(0);
    });
  });
}
