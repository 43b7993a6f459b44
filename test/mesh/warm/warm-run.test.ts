import { afterEach, describe, expect, test } from 'vitest';
import { type BlockKey, blockIdOf } from '../../../src/block/block-key.ts';
import { type NodeId, toNodeId } from '../../../src/block/node-id.ts';
import { WarmMetrics } from '../../../src/mesh/warm/warm-metrics.ts';
import { type KeptAs, WarmRun } from '../../../src/mesh/warm/warm-run.ts';
import { PeerError } from '../../../src/peer/block-exchange.ts';
import type { WarmClient } from '../../../src/peer/warm-exchange.ts';
import { WarmOutcome, type WarmReply, type WarmRequest } from '../../../src/peer/warm-message.ts';
import { type Clock, systemClock } from '../../../src/runtime/clock.ts';
import { sleep } from '../../../src/runtime/deadline.ts';
import { silentLogger } from '../../../src/runtime/logger.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import { VirtualClock } from '../virtual-clock.ts';

const SELF = toNodeId('self');
const A = toNodeId('a');
const B = toNodeId('b');
const C = toNodeId('c');

function keys(count: number): BlockKey[] {
  return Array.from({ length: count }, (_, index) => ({ sliceId: 9n, index, sizeBytes: 4096 }));
}

/** Owners that answer as the test says, in memory. */
class FakeOwners implements WarmClient {
  readonly asked: { node: NodeId; request: WarmRequest }[] = [];
  readonly cancelled: NodeId[] = [];
  readonly kept = new Map<string, NodeId[]>();
  answer: (node: NodeId, request: WarmRequest, count: number) => WarmReply | Promise<WarmReply> = (
    _node,
    _request,
    count,
  ) => ({ outcomes: new Uint8Array(count).fill(WarmOutcome.fetched), error: undefined });

  async warm(node: NodeId, request: WarmRequest, count: number): Promise<WarmReply> {
    this.asked.push({ node, request });
    const reply = await this.answer(node, request, count);
    request.ids?.forEach((id, at) => {
      if (reply.outcomes?.[at] === WarmOutcome.fetched) {
        this.kept.set(id, [...(this.kept.get(id) ?? []), node]);
      }
    });
    return reply;
  }
  async cancel(node: NodeId): Promise<void> {
    this.cancelled.push(node);
  }
  async evict() {
    return { blocks: 0, bytes: 0 };
  }
}

const ending: AbortController[] = [];
afterEach(() => {
  for (const controller of ending.splice(0)) controller.abort(new Error('the test is over'));
});

function setUp(
  owners: (key: BlockKey) => readonly NodeId[] = (key) => rotate(key.index),
  clock: Clock = systemClock,
) {
  const client = new FakeOwners();
  const failures: NodeId[] = [];
  const metrics = memoryMetrics();
  const controller = new AbortController();
  ending.push(controller);
  const run = new WarmRun({
    job: 'job',
    self: SELF,
    owners,
    client,
    reportFailure: (node) => void failures.push(node),
    handover: false,
    parallel: 7,
    clock,
    metrics: new WarmMetrics(metrics),
    logger: silentLogger,
    signal: controller.signal,
  });
  const results: [KeptAs, string | undefined][] = [];
  const add = (key: BlockKey) => run.add(key, (kept, error) => void results.push([kept, error]));
  return { run, client, failures, metrics, controller, results, add };
}

function rotate(index: number): NodeId[] {
  const nodes = [A, B, C];
  return nodes.map((_, at) => nodes[(index + at) % nodes.length] as NodeId);
}

describe('a warm-up run', () => {
  test('each block goes to its owner, once', async () => {
    const { run, client, results, add } = setUp();
    for (const key of keys(1000)) await add(key);
    await run.finish();
    expect(results).toHaveLength(1000);
    expect(results.every(([kept]) => kept === 'fetched')).toBe(true);
    for (const key of keys(1000)) {
      expect(client.kept.get(blockIdOf(key))).toEqual([rotate(key.index)[0]]);
    }
    expect(client.asked.every(({ request }) => request.parallel === 7)).toBe(true);
    expect(run.moved).toBe(0);
  });

  test('a batch is followed until its last block is done', async () => {
    const { run, client, results, add } = setUp(() => [A]);
    let polls = 0;
    client.answer = (_node, _request, count) => {
      polls += 1;
      const outcomes = new Uint8Array(count).fill(WarmOutcome.held, 0, Math.min(polls, count));
      return { outcomes, error: undefined };
    };
    const [key] = keys(1);
    await add(key as BlockKey);
    await run.finish();
    expect(results).toEqual([['held', undefined]]);
  });

  test('an owner is asked again when one answer is lost, and passed over when two are', async () => {
    const { run, client, metrics, results, add } = setUp(() => [A, B]);
    let lost = 0;
    client.answer = (node, _request, count) => {
      if (node === A && lost > 0) {
        lost -= 1;
        throw new PeerError('timeout', 'said nothing');
      }
      return { outcomes: new Uint8Array(count).fill(WarmOutcome.fetched), error: undefined };
    };
    const [one, other] = keys(2) as [BlockKey, BlockKey];
    lost = 1;
    await add(one);
    await run.finish();
    expect(run.moved).toBe(0);
    lost = 2;
    await add(other);
    await run.finish();
    expect(run.moved).toBe(1);
    expect(results.map(([kept]) => kept)).toEqual(['fetched', 'fetched']);
    expect(metrics.value('warmup_events', { event: 'owner-lost' })).toBe(1);
  });

  test('an owner that says "soon" for ever is passed over in the end', async () => {
    const clock = new VirtualClock();
    const { run, client, failures, results, add } = setUp(() => [A, B], clock);
    client.answer = async (node, request, count) => {
      await sleep(clock, request.waitMs);
      const outcome = node === A ? WarmOutcome.pending : WarmOutcome.fetched;
      return { outcomes: new Uint8Array(count).fill(outcome), error: undefined };
    };
    const [key] = keys(1) as [BlockKey];
    await add(key);
    await clock.run(run.finish());
    expect(results).toEqual([['fetched', undefined]]);
    expect(client.kept.get(blockIdOf(key))).toEqual([B]);
    expect(failures).toEqual([]);
  });

  test('blocks of an owner that dies midway go to the next one, and the owner is reported', async () => {
    const { run, client, failures, metrics, results, add } = setUp();
    let first = true;
    client.answer = (node, request, count) => {
      if (node !== A) return { outcomes: new Uint8Array(count).fill(1), error: undefined };
      if (!first) throw new PeerError('unreachable', 'gone');
      first = false;
      // One block is done before it dies.
      const outcomes = new Uint8Array(count);
      outcomes[0] = WarmOutcome.fetched;
      expect(request.ids).toBeDefined();
      return { outcomes, error: undefined };
    };
    for (const key of keys(300)) await add(key);
    await run.finish();
    expect(results).toHaveLength(300);
    expect(results.filter(([kept]) => kept !== 'fetched')).toEqual([]);
    expect(failures).toContain(A);
    expect(run.moved).toBeGreaterThanOrEqual(1);
    expect(metrics.value('warmup_events', { event: 'moved' })).toBe(run.moved);
    const nodes = keys(300).map((key) => client.kept.get(blockIdOf(key)) ?? [A]);
    expect(nodes.filter(([node]) => node === A).length).toBeLessThanOrEqual(1);
  });

  test('an owner that is busy is asked again and not reported', async () => {
    const { run, client, failures, results, add } = setUp(() => [A]);
    let refusals = 2;
    client.answer = (_node, _request, count) => {
      refusals -= 1;
      if (refusals >= 0) throw new PeerError('busy', 'later');
      return { outcomes: new Uint8Array(count).fill(1), error: undefined };
    };
    await add(keys(1)[0] as BlockKey);
    await run.finish();
    expect(results).toEqual([['fetched', undefined]]);
    expect(failures).toEqual([]);
  });

  test('an owner that was started again is told its batch once more', async () => {
    const { run, client, results, add } = setUp(() => [A]);
    let asked = 0;
    client.answer = (_node, request, count) => {
      asked += 1;
      if (asked === 1) return { outcomes: new Uint8Array(count), error: undefined };
      if (request.ids === undefined) return { outcomes: undefined, error: undefined };
      return { outcomes: new Uint8Array(count).fill(2), error: undefined };
    };
    await add(keys(1)[0] as BlockKey);
    await run.finish();
    expect(results).toEqual([['held', undefined]]);
    expect(asked).toBe(3);
  });

  test('when no owner keeps a block it has failed, and the run ends', async () => {
    const { run, client, results, add } = setUp();
    client.answer = () => {
      throw new PeerError('failed', 'no');
    };
    for (const key of keys(3)) await add(key);
    await run.finish();
    expect(results).toEqual([1, 2, 3].map(() => ['failed', 'no owner could keep it']));
  });

  test('an abort tells every busy owner, and nothing waits any longer', async () => {
    const { run, client, controller, add } = setUp();
    client.answer = () => new Promise(() => undefined);
    for (const key of keys(30)) await add(key);
    const finished = run.finish();
    controller.abort(new Error('enough'));
    await expect(finished).rejects.toThrow('enough');
    expect(client.cancelled.toSorted()).toEqual([A, B, C]);
    await expect(add(keys(1)[0] as BlockKey)).rejects.toThrow('enough');
  });

  test('no more blocks are taken than are allowed to be open', async () => {
    const { client, add, controller } = setUp(() => [A]);
    client.answer = () => new Promise(() => undefined);
    let taken = 0;
    const adding = (async () => {
      for (let index = 0; index < 70_000; index += 1) {
        await add({ sliceId: 1n, index, sizeBytes: 1 });
        taken += 1;
      }
    })();
    await Promise.race([
      adding,
      new Promise((resolve) => systemClock.setTimer(1000, () => resolve(0))),
    ]);
    expect(taken).toBe(65_536);
    controller.abort(new Error('enough'));
    await expect(adding).rejects.toThrow('enough');
  });
});
