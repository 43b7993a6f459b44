import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import {
  type Asker,
  planRoute,
  type RouteStep,
  type RouteView,
} from '../../src/mesh/route-plan.ts';

const [A, B, C, D, E] = ['a', 'b', 'c', 'd', 'e'].map(toNodeId) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

function viewOf(view: Partial<RouteView>): RouteView {
  const holders = view.holders ?? [A];
  return {
    self: E,
    holders,
    nearest: holders,
    next: B,
    former: [],
    usable: () => true,
    ...view,
  };
}

/** A plan in one line: `a any, b final, origin`. */
function told(steps: readonly RouteStep[]): string {
  return steps
    .map((step) => (step.kind === 'peer' ? `${step.node} ${step.mode}` : step.kind))
    .join(', ');
}
const plan = (asker: Asker, view: Partial<RouteView>) => planRoute(asker, viewOf(view));

describe('the sources of a block', () => {
  test('a reader asks the owner, then the next one, then the origin', () => {
    const { level, keepOnDisk, steps } = plan('reader', {});
    expect(told(steps)).toBe('a any, b final, origin');
    expect([level, keepOnDisk]).toEqual(['reader', false]);
  });

  test('who is asked because the owner is out does not wait for the owner', () => {
    const { level, steps } = plan('reader', { usable: (node) => node !== A });
    expect(told(steps)).toBe('b final, origin');
    expect(level).toBe('holder');
  });

  test('the owner itself asks former owners for what they hold, then the origin', () => {
    const { level, keepOnDisk, steps } = plan('reader', { self: A, former: [C, D, B] });
    expect(told(steps)).toBe('c held, d held, origin');
    expect([level, keepOnDisk]).toEqual(['end', true]);
  });

  test('the owner does the same for a peer, however far that lets it go', () => {
    for (const asker of ['any', 'final'] as const) {
      expect(told(plan(asker, { self: A, former: [C] }).steps)).toBe('c held, origin');
    }
  });

  test('a second holder gets the block from the first, so that the origin is asked once', () => {
    const view = { self: B, holders: [A, B] };
    expect(told(plan('reader', view).steps)).toBe('a final, origin');
    expect(told(plan('any', view).steps)).toBe('a final, origin');
    expect(told(plan('final', view).steps)).toBe('a held, origin');
  });

  test('a first holder that lost a block asks the other ones for it', () => {
    expect(told(plan('reader', { self: A, holders: [A, B, C] }).steps)).toBe(
      'b held, c held, origin',
    );
  });

  test('readers ask the nearest holders first', () => {
    const view = { holders: [A, B, C], nearest: [C, A, B], next: D };
    expect(told(plan('reader', view).steps)).toBe('c any, a final, origin');
  });

  test('alone there is only the origin', () => {
    const { steps, keepOnDisk } = plan('reader', { holders: [], next: undefined });
    expect(told(steps)).toBe('origin');
    expect(keepOnDisk).toBe(true);
  });

  test('requests never go in circles, nor to ourselves, and the origin is the last source', () => {
    const nodes = fc.subarray([A, B, C, D, E]);
    const views = fc.record({
      holders: fc.shuffledSubarray([A, B, C, D, E], { maxLength: 3 }),
      former: nodes,
      out: nodes,
      next: fc.constantFrom(A, B, C, D, E, undefined),
    });
    const askers = fc.constantFrom<Asker>('reader', 'any', 'final');
    const strictness = { reader: 0, any: 1, final: 2, held: 3 };
    fc.assert(
      fc.property(views, askers, ({ out, next, ...view }, asker) => {
        const usable = (node: NodeId) => !out.includes(node);
        const isFree = next !== undefined && !view.holders.includes(next);
        const { steps } = plan(asker, { ...view, next: isFree ? next : undefined, usable });
        expect(steps.filter(({ kind }) => kind === 'origin')).toHaveLength(1);
        expect(steps.at(-1)).toEqual({ kind: 'origin' });
        expect(steps.length).toBeLessThanOrEqual(4);
        for (const step of steps) {
          if (step.kind !== 'peer') continue;
          expect(strictness[step.mode]).toBeGreaterThan(strictness[asker]);
          expect(step.node).not.toBe(E);
          expect(usable(step.node)).toBe(true);
        }
      }),
    );
  });
});
