import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GossipNet, type NetNode } from './gossip-net.ts';

const NODES = 9;

/** One thing that happens to the group. */
const fault = fc.oneof(
  fc.record({ kind: fc.constant('crash' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('restart' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('pause' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('resume' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('leave' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('weight' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('report' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('cut' as const), mask: fc.nat(2 ** NODES - 1) }),
  fc.record({ kind: fc.constant('one-way' as const), node: fc.nat(NODES - 1) }),
  fc.record({ kind: fc.constant('loss' as const), percent: fc.nat(60) }),
);
type Fault = typeof fault extends fc.Arbitrary<infer T> ? T : never;

/** Members under faults, which end in the end. */
class Story {
  readonly net: GossipNet;
  readonly nodes: NetNode[] = [];

  constructor(seed: number) {
    this.net = new GossipNet({ seed });
    this.net.repeatRate = 0.1;
    for (let number = 0; number < NODES; number += 1) this.begin(number);
  }

  begin(number: number): void {
    const node = this.net.add(`n${number}`, { isListed: true });
    this.nodes[number] = node;
    void node.membership.start();
  }

  happen(what: Fault): void {
    const { net } = this;
    if (what.kind === 'cut') {
      const side = (id: string) => (what.mask >> Number(id.slice(1))) & 1;
      net.passes = (from, to) => side(from) === side(to);
      return;
    }
    if (what.kind === 'loss') {
      net.lossRate = what.percent / 100;
      return;
    }
    const node = this.nodes[what.node] as NetNode;
    switch (what.kind) {
      case 'crash':
        net.crash(node);
        break;
      case 'restart':
        net.crash(node);
        this.begin(what.node);
        break;
      case 'pause':
        if (node.mood === 'well') node.mood = 'paused';
        break;
      case 'resume':
        if (node.mood === 'paused') node.mood = 'well';
        break;
      case 'leave':
        void node.membership.stop().then(() => void (node.mood = 'crashed'));
        break;
      case 'weight':
        node.weight += 1;
        node.membership.announce();
        break;
      case 'report':
        for (const other of this.nodes) other.membership.reportFailure(node.id);
        break;
      case 'one-way':
        net.passes = (from) => from !== node.id;
        break;
    }
  }

  /** All faults end; who is paused goes on. */
  heal(): void {
    this.net.passes = () => true;
    this.net.lossRate = 0;
    for (const node of this.nodes) if (node.mood === 'paused') node.mood = 'well';
  }

  agrees(): boolean {
    const { live } = this.net;
    const weights = live.map(({ membership }) =>
      JSON.stringify(membership.current().members.map(({ nodeId, weight }) => [nodeId, weight])),
    );
    return this.net.isSettled() && new Set(weights).size <= 1;
  }
}

test('whatever happens, when it is over all that live see each other, alike, within 20 s', {
  timeout: 120_000,
}, async () => {
  const times: number[] = [];
  const step = fc.record({ what: fault, thenMs: fc.integer({ min: 10, max: 20_000 }) });
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.array(step, { maxLength: 12 }), async (seed, steps) => {
      const story = new Story(seed);
      await story.net.clock.pass(3_000);
      for (const { what, thenMs } of steps) {
        story.happen(what);
        await story.net.clock.pass(thenMs);
      }
      story.heal();
      times.push(await story.net.until('all agree', () => story.agrees(), 20_000));
      // And it stays so: nobody is suspected without a reason.
      await story.net.clock.pass(10_000);
      expect(story.agrees()).toBe(true);
    }),
    { numRuns: 60 },
  );
  console.log(`agreed after ${Math.max(...times)} ms at most`);
});
