import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlockId, blockIdOf } from '../../src/block/block-key.ts';
import { allBlocks, bytesOf, heldBlocks } from '../peer/test-hosts.ts';
import { key, type MakePair, never, pairsOfTests, whole } from './exchange-pair.ts';

/** What every exchange of blocks between peers brings. */
export function peerExchangeContract(name: string, makePair: MakePair): void {
  describe(`${name}`, () => {
    const pairOf = pairsOfTests(makePair);

    test('a block arrives as it is', async () => {
      const { client, server } = await pairOf(allBlocks());
      const into = new Uint8Array(key.sizeBytes);
      await client.fill(server, key, whole, into, { signal: never });
      expect(Buffer.compare(into, bytesOf(key))).toBe(0);
    });

    test('any range arrives as it is, and nothing beside it is touched', async () => {
      const { client, server } = await pairOf(allBlocks(100_000));
      const bytes = bytesOf(key);
      const ranges = fc
        .tuple(fc.nat(key.sizeBytes - 1), fc.nat(key.sizeBytes))
        .map(([offset, length]) => ({ offset, length: Math.min(length, key.sizeBytes - offset) }));
      await fc.assert(
        fc.asyncProperty(ranges, async (range) => {
          const room = new Uint8Array(range.length + 20).fill(0xaa);
          const into = room.subarray(10, 10 + range.length);
          await client.fill(server, key, range, into, { signal: never });
          const expected = bytes.subarray(range.offset, range.offset + range.length);
          expect(Buffer.compare(into, expected)).toBe(0);
          expect([...room.subarray(0, 10), ...room.subarray(-10)]).toEqual(Array(20).fill(0xaa));
        }),
        { numRuns: 30 },
      );
    });

    test('progress is reported in growing order, each time for bytes that are right', async () => {
      const { client, server } = await pairOf(allBlocks(90_000));
      const bytes = bytesOf(key);
      const into = new Uint8Array(key.sizeBytes);
      const reports: number[] = [];
      const onProgress = (ready: number) => {
        const last = reports.at(-1) ?? 0;
        expect(Buffer.compare(into.subarray(last, ready), bytes.subarray(last, ready))).toBe(0);
        reports.push(ready);
      };
      await client.fill(server, key, whole, into, { signal: never, onProgress });
      expect(reports.length).toBeGreaterThan(5);
      expect(reports).toEqual(reports.toSorted((a, b) => a - b));
      expect(reports.at(-1)).toBe(key.sizeBytes);
    });

    test('the first bytes arrive while the server still waits for the rest', async () => {
      const bytes = bytesOf(key);
      const rest = Promise.withResolvers<void>();
      const { client, server } = await pairOf({
        async *serve() {
          yield bytes.subarray(0, 50_000);
          await rest.promise;
          yield bytes.subarray(50_000);
        },
        holds: () => [],
      });
      const first = Promise.withResolvers<number>();
      const into = new Uint8Array(key.sizeBytes);
      const filled = client.fill(server, key, whole, into, {
        signal: never,
        onProgress: (ready) => first.resolve(ready),
      });
      expect(await first.promise).toBe(50_000);
      rest.resolve();
      await filled;
      expect(Buffer.compare(into, bytes)).toBe(0);
    });

    test('a view is reused by the server without harm', async () => {
      const bytes = bytesOf(key);
      const view = new Uint8Array(70_000);
      const { client, server } = await pairOf({
        async *serve() {
          for (let at = 0; at < bytes.length; at += view.length) {
            const piece = bytes.subarray(at, at + view.length);
            view.set(piece);
            yield view.subarray(0, piece.length);
            view.fill(0);
          }
        },
        holds: () => [],
      });
      const into = new Uint8Array(key.sizeBytes);
      await client.fill(server, key, whole, into, { signal: never });
      expect(Buffer.compare(into, bytes)).toBe(0);
    });

    test('many requests at once each get their own block', async () => {
      const { client, server } = await pairOf(allBlocks(60_000));
      const keys = Array.from({ length: 60 }, (_, index) => ({
        sliceId: BigInt(index + 1),
        index,
        sizeBytes: 150_000 + index,
      }));
      const fills = keys.map(async (each) => {
        const into = new Uint8Array(each.sizeBytes);
        const range = { offset: 0, length: each.sizeBytes };
        await client.fill(server, each, range, into, { signal: never });
        return Buffer.compare(into, bytesOf(each));
      });
      expect(await Promise.all(fills)).toEqual(keys.map(() => 0));
    });

    test('the tiers come back in the order asked, for many ids', async () => {
      const tierOf = (id: string) => ([undefined, 'memory', 'disk'] as const)[id.length % 3];
      const { client, server } = await pairOf({
        ...allBlocks(),
        holds: (ids) => ids.map(tierOf),
      });
      const ids = Array.from({ length: 2500 }, (_, index) =>
        blockIdOf({ sliceId: BigInt(index * 7919), index: index % 16, sizeBytes: 4_194_304 }),
      );
      expect(await client.holds(server, ids, never)).toEqual(ids.map(tierOf));
      expect(await client.holds(server, [] as BlockId[], never)).toEqual([]);
    });

    test('how far a peer may go is told to it, and who asks', async () => {
      const modes: unknown[] = [];
      const good = allBlocks();
      const { client, server } = await pairOf({
        async *serve(wanted, range, signal, asked) {
          modes.push(asked.mode);
          expect(asked.peer).not.toBe('');
          yield* good.serve(wanted, range, signal, asked);
        },
        holds: () => [],
      });
      const range = { offset: 0, length: 10 };
      for (const mode of [undefined, 'any', 'final', 'held'] as const) {
        const options = mode === undefined ? { signal: never } : { signal: never, mode };
        await client.fill(server, key, range, new Uint8Array(10), options);
      }
      expect(modes).toEqual(['any', 'any', 'final', 'held']);
    });

    test('what the server has in memory arrives as it is, and is let go', async () => {
      const { handler, count } = heldBlocks();
      const { client, server } = await pairOf(handler);
      const bytes = bytesOf(key);
      const ranges = [whole, { offset: 131_072, length: 262_144 }, { offset: 77, length: 500_001 }];
      await Promise.all(
        [...ranges, ...ranges, ...ranges, ...ranges].map(async (range) => {
          const reports: number[] = [];
          const into = new Uint8Array(range.length);
          const onProgress = (ready: number) => {
            expect(Buffer.compare(into.subarray(0, ready), part.subarray(0, ready))).toBe(0);
            reports.push(ready);
          };
          const part = bytes.subarray(range.offset, range.offset + range.length);
          await client.fill(server, key, range, into, { signal: never, onProgress });
          expect(Buffer.compare(into, part)).toBe(0);
          expect(reports).toEqual(reports.toSorted((a, b) => a - b));
          expect(reports.at(-1)).toBe(range.length);
          expect(reports.length).toBeGreaterThanOrEqual(range.length / 262_144);
        }),
      );
      await expect.poll(() => count.held).toBe(0);
    });
  });
}
