import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { type BlockId, type BlockKey, blockIdOf } from '../../src/block/block-key.ts';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import {
  type BlockHandler,
  type PeerClient,
  PeerError,
  ReferralError,
} from '../../src/peer/block-exchange.ts';
import { allBlocks, bytesOf, heldBlocks } from '../peer/test-hosts.ts';

/** A client and the node that answers it with the handler given. */
export interface ExchangePair {
  readonly client: PeerClient;
  readonly server: NodeId;
  stop(): Promise<void>;
}

/** How much the server of a pair serves at a time. */
export interface ExchangeLimits {
  readonly requestsPerPeer?: number;
  readonly bytes?: number;
}

const never = new AbortController().signal;
const key: BlockKey = { sliceId: 12_345_678_901_234n, index: 3, sizeBytes: 1_300_000 };
const whole = { offset: 0, length: key.sizeBytes };

/** What every exchange of blocks between peers does. */
export function peerExchangeContract(
  name: string,
  makePair: (handler: BlockHandler, limits?: ExchangeLimits) => Promise<ExchangePair>,
): void {
  describe(`${name}`, () => {
    let stop: (() => Promise<void>) | undefined;
    afterEach(async () => stop?.());
    const pairOf = async (handler: BlockHandler, limits?: ExchangeLimits) => {
      const pair = await makePair(handler, limits);
      stop = () => pair.stop();
      return pair;
    };

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

    test('an error of the server arrives with its reason, also after some bytes', async () => {
      const bytes = bytesOf(key);
      const { client, server } = await pairOf({
        async *serve(_, range) {
          if (range.offset === 0) yield bytes.subarray(0, 10_000);
          throw new PeerError('failed', 'the origin has no such object');
        },
        holds: () => [],
      });
      for (const offset of [0, 1]) {
        const range = { offset, length: key.sizeBytes - offset };
        const into = new Uint8Array(range.length);
        const filled = client.fill(server, key, range, into, { signal: never });
        await expect(filled).rejects.toMatchObject({
          name: 'PeerError',
          code: 'failed',
          message: expect.stringContaining('no such object'),
        });
      }
    });

    test.each([-1, 1])('a server that yields %i byte too many fails', async (extra) => {
      const { client, server } = await pairOf({
        async *serve(_, range) {
          yield new Uint8Array(range.length + extra);
        },
        holds: () => [],
      });
      const into = new Uint8Array(1000);
      const range = { offset: 0, length: 1000 };
      const filled = client.fill(server, key, range, into, { signal: never });
      await expect(filled).rejects.toMatchObject({ code: 'failed' });
    });

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

    test('requests beyond the limits are refused as busy, and those within are served', async () => {
      const gate = Promise.withResolvers<void>();
      const good = allBlocks();
      const { client, server } = await pairOf(
        {
          async *serve(wanted, range, signal, asked) {
            await gate.promise;
            yield* good.serve(wanted, range, signal, asked);
          },
          holds: () => [],
        },
        { requestsPerPeer: 3 },
      );
      const fill = () => {
        const into = new Uint8Array(1000);
        const range = { offset: 0, length: 1000 };
        return client.fill(server, key, range, into, { signal: never });
      };
      const fills = Array.from({ length: 6 }, fill);
      const allRefused = Promise.withResolvers<void>();
      const refusals: unknown[] = [];
      for (const each of fills) {
        each.catch((error: unknown) => {
          refusals.push(error);
          if (refusals.length === 3) allRefused.resolve();
        });
      }
      const outcomes = Promise.allSettled(fills);
      await allRefused.promise;
      for (const error of refusals) expect(error).toMatchObject({ code: 'busy', retryable: true });
      gate.resolve();
      const served = (await outcomes).filter(({ status }) => status === 'fulfilled');
      expect(served.length).toBe(3);
      await fill();
    });

    test('bytes beyond the limit are refused as busy', async () => {
      const gate = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const good = allBlocks();
      const { client, server } = await pairOf(
        {
          async *serve(wanted, range, signal, asked) {
            begun.resolve();
            await gate.promise;
            yield* good.serve(wanted, range, signal, asked);
          },
          holds: () => [],
        },
        { bytes: key.sizeBytes + 10 },
      );
      const first = client.fill(server, key, whole, new Uint8Array(key.sizeBytes), {
        signal: never,
      });
      await begun.promise;
      const range = { offset: 0, length: 11 };
      const second = client.fill(server, key, range, new Uint8Array(11), { signal: never });
      await expect(second).rejects.toMatchObject({ code: 'busy' });
      gate.resolve();
      await first;
      await client.fill(server, key, range, new Uint8Array(11), { signal: never });
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

    test('a block that is not held, and a referral to others, are told as such', async () => {
      const holders = ['first', 'second'].map(toNodeId);
      const { client, server } = await pairOf({
        // oxlint-disable-next-line require-yield -- neither has bytes
        async *serve(_key, _range, _signal, { mode }) {
          if (mode === 'held') throw new PeerError('absent', 'not here');
          throw new ReferralError('ask those', holders);
        },
        holds: () => [],
      });
      const range = { offset: 0, length: 10 };
      const fill = (mode: 'any' | 'held') =>
        client.fill(server, key, range, new Uint8Array(10), { signal: never, mode });
      await expect(fill('held')).rejects.toMatchObject({ code: 'absent' });
      await expect(fill('any')).rejects.toMatchObject({ code: 'elsewhere', holders });
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

    test('a node that nobody knows is unreachable', async () => {
      const { client } = await pairOf(allBlocks());
      const stranger = '12D3KooWC9dR3CBm5StuqgZSwEJnM7SMqj8TasPVtAkwhWk1M6pH' as NodeId;
      const range = { offset: 0, length: 1 };
      const filled = client.fill(stranger, key, range, new Uint8Array(1), { signal: never });
      await expect(filled).rejects.toMatchObject({ code: 'unreachable' });
    });
  });
}
