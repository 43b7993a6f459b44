import type { Fault } from '../faults/fault.ts';
import type { OriginQuality } from '../origin/sim-origin.ts';
import type { ProcessCluster } from './process-cluster.ts';
import type { ProcessNode } from './process-node.ts';

/** Ends a fault. */
export type EndProcessFault = () => void | Promise<void>;

/** What the object store of the real daemons can do wrong. */
const ORIGIN_FAULTS: readonly (keyof OriginQuality)[] = [
  'errorRate',
  'throttleRate',
  'breakRate',
  'latencyMs',
];

/**
 * Why a fault cannot be had among processes; undefined when it can.
 *
 * What a disk does besides being full, what a clock does and what a stranger asks is the simulator's.
 */
export function whyNot(fault: Fault): string | undefined {
  if (fault.kind === 'origin' && ORIGIN_FAULTS.every((name) => !fault.quality[name])) {
    return `origin: ${Object.keys(fault.quality).join(', ')} only simulated`;
  }
  if (fault.kind === 'clock' || fault.kind === 'weight' || fault.kind === 'stranger') {
    return `${fault.kind}: only simulated`;
  }
  if (fault.kind === 'reset') return 'reset: no connection of another process can be broken';
  if (fault.kind === 'disk' && fault.quality.foreignBytes === undefined) {
    return 'disk: only full ones';
  }
  if (fault.kind === 'link' && (fault.quality.flipRate ?? 0) > 0) {
    return "link: the kernel's checksums find flipped bits";
  }
  return undefined;
}

/** What is left out of a fault that can be had otherwise; undefined when it is whole. */
export function whatIsLeftOut(fault: Fault): string | undefined {
  if (fault.kind === 'crash' && fault.power) return 'crash: killed, the machine keeps its power';
  if (fault.kind !== 'origin') return undefined;
  const others = Object.keys(fault.quality).filter(
    (name) => !ORIGIN_FAULTS.includes(name as keyof OriginQuality),
  );
  return others.length === 0 ? undefined : `origin: ${others.join(', ')} only simulated`;
}

/** Begins a fault. @returns what ends it */
export async function beginProcessFault(
  cluster: ProcessCluster,
  fault: Fault,
): Promise<EndProcessFault> {
  switch (fault.kind) {
    case 'crash':
      return absent(nodeOf(cluster, fault.node), 'SIGKILL', fault.keepCache);
    case 'stop':
      return absent(nodeOf(cluster, fault.node), 'SIGTERM', true);
    case 'pause':
      return nodeOf(cluster, fault.node).freeze();
    case 'partition':
    case 'cut':
    case 'link':
      return beginOnNetwork(cluster, fault);
    case 'disk':
      return (await nodeOf(cluster, fault.node).disk?.fill()) ?? nothing;
    case 'flip-bits':
      return damage(nodeOf(cluster, fault.node), fault);
    case 'origin':
      return beginOrigin(cluster, fault.quality);
    case 'metadata':
      cluster.volume.redis.freeze();
      return () => cluster.volume.redis.thaw();
    default:
      return nothing;
  }
}

function nodeOf(cluster: ProcessCluster, number: number): ProcessNode {
  return cluster.nodes[number % cluster.nodes.length] as ProcessNode;
}

function nothing(): void {}

async function absent(
  node: ProcessNode,
  signal: 'SIGTERM' | 'SIGKILL',
  keepCache: boolean,
): Promise<EndProcessFault> {
  // Who is being started or is gone already has no daemon to lose.
  return node.isUp ? node.away(signal, keepCache) : nothing;
}

function beginOnNetwork(
  { network, nodes }: ProcessCluster,
  fault: Fault & { readonly kind: 'partition' | 'cut' | 'link' },
): EndProcessFault {
  const { rules } = network;
  const isNode = (place: number) => place < nodes.length;
  const ends: (() => void)[] = [];
  if (fault.kind === 'link') {
    const { node, quality } = fault;
    ends.push(rules.change({ from: node, to: undefined }, quality));
    if (node !== undefined) ends.push(rules.change({ from: undefined, to: node }, quality));
  } else if (fault.kind === 'cut') {
    ends.push(rules.cut((from, to) => from === fault.from && to === fault.to));
  } else {
    const side = new Set(fault.side);
    // The host is on both sides: what is cut is the group.
    ends.push(
      rules.cut((from, to) => isNode(from) && isNode(to) && side.has(from) !== side.has(to)),
    );
  }
  network.apply();
  return () => {
    for (const end of ends) end();
    network.apply();
  };
}

async function damage(
  node: ProcessNode,
  fault: Fault & { readonly kind: 'flip-bits' },
): Promise<EndProcessFault> {
  const isEnded = fault.restart && node.isUp;
  const start = isEnded ? await node.away('SIGKILL') : nothing;
  if (isEnded || (!fault.restart && node.isUp)) await node.damage(fault.count);
  return start;
}

function beginOrigin({ origin }: ProcessCluster, quality: Partial<OriginQuality>): EndProcessFault {
  const { errorRate = 0, throttleRate = 0, breakRate = 0, latencyMs } = quality;
  const share = Math.max(errorRate, throttleRate, breakRate);
  if (breakRate > 0) Object.assign(origin.faults, { share, cutAfterBytes: 0 });
  else if (share > 0) Object.assign(origin.faults, { share, status: errorRate > 0 ? 500 : 503 });
  else if (latencyMs !== undefined) origin.faults.delayMs = latencyMs;
  return () => {
    for (const fault of Object.keys(origin.faults)) {
      delete origin.faults[fault as keyof typeof origin.faults];
    }
  };
}
