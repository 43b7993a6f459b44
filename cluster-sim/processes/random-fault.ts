import type { Fault, FaultKind } from '../faults/fault.ts';
import type { SeededRandom } from '../world/seeded-random.ts';

const FOR_MS_MIN = 1_000;
const FOR_MS_MAX = 4_500;

/** Draws a fault for a group of so many nodes: kills, freezes, cuts, full disks, damage, origin errors. */
export function randomFault(random: SeededRandom, nodes: number): Fault {
  const forMs = Math.floor(random.between(FOR_MS_MIN, FOR_MS_MAX));
  const node = random.below(nodes);
  const other = (node + 1 + random.below(nodes - 1)) % nodes;
  const kinds: readonly FaultKind[] = [
    { kind: 'crash', node, power: false, keepCache: random.chance(0.7) },
    { kind: 'stop', node },
    { kind: 'pause', node },
    { kind: 'partition', side: random.chance(0.5) ? [node] : [node, other] },
    { kind: 'cut', from: node, to: other },
    { kind: 'link', node, quality: { latencyMs: 40, jitterMs: 20 } },
    { kind: 'link', node: undefined, quality: { lossRate: 0.01, reorderRate: 0.02 } },
    { kind: 'disk', node, quality: { foreignBytes: 1 } },
    { kind: 'flip-bits', node, count: 20, restart: random.chance(0.5) },
    { kind: 'origin', quality: { errorRate: 0.5 } },
    { kind: 'origin', quality: { breakRate: 0.3 } },
    { kind: 'metadata' },
  ];
  return { ...random.pick(kinds), atMs: 0, forMs };
}
