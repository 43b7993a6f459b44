import type { DiskQuality } from '../disk/sim-disk.ts';
import type { Fault, FaultKind } from '../faults/fault.ts';
import { PATTERNS } from '../load/load-shape.ts';
import type { ChecksumMode } from '../../src/store/checksum-mode.ts';
import type { LinkQuality } from '../network/link-rules.ts';
import type { OriginQuality } from '../origin/sim-origin.ts';
import { type SeededRandom, seededRandom } from '../world/seeded-random.ts';
import { completeScenario, type Scenario } from './scenario.ts';

const MIB = 2 ** 20;
/** Faults begin within so much of the load's time, and most are over before its end. */
const FAULT_AT_MS_MAX = 6_000;
const FAULT_FOR_MS_MAX = 8_000;
const FAULTS_MAX = 6;

/** Draws a whole scenario: the cluster, the load and what goes wrong. */
export function swarmScenario(seed: number): Scenario {
  const random = seededRandom(seed).fork('swarm');
  const nodes = 2 + random.below(4);
  const scenario = completeScenario({
    name: `swarm-${seed}`,
    about: 'Drawn from the seed.',
    nodes,
    startGapMs: random.pick([0, 0, 50, 1_500]),
    volume: drawVolume(random),
    link: { latencyMs: random.pick([0.05, 0.1, 0.5, 2]), jitterMs: random.pick([0, 0.05, 0.5]) },
    origin: { latencyMs: random.pick([2, 10, 40]), jitterMs: random.pick([0, 5, 40]) },
    settings: {
      replicas: random.pick([1, 1, 1, 2]),
      memoryBytes: random.pick([0, 0.25, 4]) * MIB,
      bufferBytes: random.pick([12, 16]) * MIB,
      diskBytes: random.pick([0, 1, 32]) * MIB,
      disks: random.pick([1, 1, 2]),
      verify: random.pick(['once', 'once', 'full', 'extend']),
      eviction: random.pick(['steady', 'steady', 'lru', '2-random']),
      prefetchWorkers: random.pick([0, 1, 2]),
      getTimeoutMs: 5_000,
      requestsPerPeer: random.pick([32, 32, 2]),
    },
    load: {
      readersPerNode: 1 + random.below(3),
      reads: 4 + random.below(12),
      thinkMs: random.pick([20, 400, 900]),
      pattern: random.pick(PATTERNS),
      partShare: random.pick([0, 0.3, 0.8]),
      readAhead: random.chance(0.3),
      warm: random.chance(0.2),
    },
    checks: { stallMsMax: 20_000 },
  });
  return { ...scenario, faults: drawFaults(random, scenario) };
}

function drawVolume(random: SeededRandom) {
  const isLarge = random.chance(0.1);
  return {
    blocks: 4 + random.below(20),
    bytesMin: random.pick([1, 4_096, 30_000]),
    // Above 512 KiB checksums lie in a file of their own; above 256 KiB files are read in pieces.
    bytesMax: isLarge ? 700_000 : random.pick([33_000, 64 * 1024, 160_000]),
  };
}

function drawFaults(random: SeededRandom, scenario: Scenario): Fault[] {
  const count = random.below(FAULTS_MAX + 1);
  return Array.from({ length: count }, () => {
    const atMs = Math.round(random.between(0, FAULT_AT_MS_MAX));
    const forMs = Math.round(random.between(0, FAULT_FOR_MS_MAX));
    return { ...drawFault(random, scenario), atMs, forMs };
  });
}

function drawFault(random: SeededRandom, { nodes, settings }: Scenario): FaultKind {
  // A file that was checked once in the life of a daemon is not checked again, by design.
  const mayRot = settings.verify !== 'once';
  const node = random.below(nodes);
  const drawn: readonly (() => FaultKind)[] = [
    () => ({ kind: 'crash', node, power: random.chance(0.5), keepCache: random.chance(0.7) }),
    () => ({ kind: 'crash', node, power: random.chance(0.5), keepCache: random.chance(0.7) }),
    () => ({ kind: 'stop', node }),
    () => ({ kind: 'pause', node }),
    () => ({ kind: 'pause', node }),
    () => ({ kind: 'partition', side: drawSide(random, nodes) }),
    () => ({ kind: 'cut', from: node, to: (node + 1 + random.below(nodes - 1)) % nodes }),
    () => ({
      kind: 'link',
      node: random.chance(0.5) ? node : undefined,
      quality: drawLink(random),
    }),
    () => ({ kind: 'reset', node }),
    () => ({ kind: 'disk', node, quality: drawDisk(random, settings.verify) }),
    () => ({ kind: 'flip-bits', node, count: 1 + random.below(8), restart: !mayRot }),
    () => ({ kind: 'origin', quality: drawOrigin(random) }),
    () => ({
      kind: 'clock',
      node,
      wallOffsetMs: random.between(-3_600_000, 3_600_000),
      rate: random.between(0.8, 1.25),
    }),
    () => ({ kind: 'weight', node, weight: random.pick([0, 50, 100, 300]) }),
    () => ({ kind: 'metadata' }),
    () => ({ kind: 'stranger', node }),
  ];
  return random.pick(drawn)();
}

function drawSide(random: SeededRandom, nodes: number): number[] {
  const side = Array.from({ length: nodes }, (_, node) => node).filter(() => random.chance(0.5));
  return side.length === 0 ? [random.below(nodes)] : side;
}

function drawLink(random: SeededRandom): Partial<LinkQuality> {
  return random.pick<Partial<LinkQuality>>([
    { latencyMs: random.between(5, 300) },
    { jitterMs: random.between(5, 100) },
    { lossRate: random.between(0.01, 0.3) },
    { bytesPerMs: random.between(50, 5_000) },
    { flipRate: random.between(0.01, 0.2) },
    { reorderRate: random.between(0.1, 0.6), duplicateRate: random.between(0.1, 0.6) },
  ]);
}

function drawDisk(random: SeededRandom, verify: ChecksumMode): Partial<DiskQuality> {
  // Only this mode checks the very bytes that it hands out.
  const flipRate = verify === 'extend' ? random.between(0.05, 0.5) : 0;
  return random.pick<Partial<DiskQuality>>([
    { latencyMs: random.between(5, 500) },
    { bytesPerMs: random.between(100, 10_000) },
    { errorRate: random.between(0.05, 1) },
    { hangRate: random.between(0.05, 1) },
    { flipRate },
    { foreignBytes: 64 * MIB },
  ]);
}

function drawOrigin(random: SeededRandom): Partial<OriginQuality> {
  return random.pick<Partial<OriginQuality>>([
    { latencyMs: random.between(100, 3_000) },
    { bytesPerMs: random.between(500, 20_000) },
    { errorRate: random.between(0.1, 0.9) },
    { throttleRate: random.between(0.1, 0.9) },
    { hangRate: random.between(0.02, 0.3) },
    { flipRate: random.between(0.05, 0.3) },
    { breakRate: random.between(0.05, 0.5) },
  ]);
}
