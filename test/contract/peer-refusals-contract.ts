import { describe, expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { PeerError, ReferralError } from '../../src/peer/block-exchange.ts';
import { allBlocks, bytesOf } from '../peer/test-hosts.ts';
import { key, type MakePair, never, pairsOfTests, whole } from './exchange-pair.ts';

/** How every exchange of blocks between peers fails. */
export function peerRefusalsContract(name: string, makePair: MakePair): void {
  describe(`${name}: refusals`, () => {
    const pairOf = pairsOfTests(makePair);

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

    test('a node that nobody knows is unreachable', async () => {
      const { client } = await pairOf(allBlocks());
      const stranger = '12D3KooWC9dR3CBm5StuqgZSwEJnM7SMqj8TasPVtAkwhWk1M6pH' as NodeId;
      const range = { offset: 0, length: 1 };
      const filled = client.fill(stranger, key, range, new Uint8Array(1), { signal: never });
      await expect(filled).rejects.toMatchObject({ code: 'unreachable' });
    });
  });
}
