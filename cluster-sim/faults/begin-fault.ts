import type { Cluster } from '../node/cluster.ts';
import type { SimNode } from '../node/sim-node.ts';
import type { Fault } from './fault.ts';
import { beginStranger, type StrangerReport } from './stranger.ts';

/** Ends a fault. */
export type EndFault = () => void;

/** Begins a fault. @returns what ends it */
export function beginFault(cluster: Cluster, fault: Fault, strangers: StrangerReport[]): EndFault {
  const { rules } = cluster;
  switch (fault.kind) {
    case 'crash':
    case 'stop':
      return beginAbsence(cluster, fault);
    case 'pause':
      return beginPause(nodeOf(cluster, fault.node));
    case 'partition': {
      const side = new Set(fault.side);
      return rules.cut((from, to) => side.has(from) !== side.has(to));
    }
    case 'cut':
      return rules.cut((from, to) => from === fault.from && to === fault.to);
    case 'link':
      return beginLink(cluster, fault);
    case 'reset':
      for (const socket of nodeOf(cluster, fault.node).machine.process?.sockets ?? []) {
        socket.reset();
      }
      return nothing;
    case 'disk':
      return nodeOf(cluster, fault.node).disk.change(fault.quality);
    case 'flip-bits':
      return flipBits(cluster, fault);
    case 'origin':
      return cluster.origin.change(fault.quality);
    case 'clock':
      return beginSkew(nodeOf(cluster, fault.node), fault);
    case 'weight':
      nodeOf(cluster, fault.node).setWeight(fault.weight);
      return nothing;
    case 'metadata':
      cluster.isMetaDown = true;
      return () => {
        cluster.isMetaDown = false;
      };
    case 'stranger':
      strangers.push(beginStranger(cluster, nodeOf(cluster, fault.node)));
      return nothing;
  }
}

function nodeOf(cluster: Cluster, number: number): SimNode {
  return cluster.nodes[number % cluster.nodes.length] as SimNode;
}

function nothing(): void {}

function beginAbsence(
  cluster: Cluster,
  fault: Fault & { readonly kind: 'crash' | 'stop' },
): EndFault {
  const node = nodeOf(cluster, fault.node);
  // Who is being started or is gone already has no daemon to lose.
  if (!node.isUp) return nothing;
  if (fault.kind === 'stop') {
    const stopped = node.stop();
    return () => void stopped.then(() => node.start());
  }
  node.crash(fault.power ? 'power' : 'killed');
  if (!fault.keepCache) node.disk.wipe();
  return () => void node.start();
}

function flipBits(cluster: Cluster, fault: Fault & { readonly kind: 'flip-bits' }): EndFault {
  const node = nodeOf(cluster, fault.node);
  const isEnded = fault.restart && node.isUp;
  if (isEnded) node.crash('killed');
  const hit = !fault.restart || isEnded ? node.disk.flipBits(fault.count) : 0;
  cluster.world.trace.note('bits flipped', node.number, hit);
  return isEnded ? () => void node.start() : nothing;
}

function beginPause(node: SimNode): EndFault {
  const time = node.process?.time;
  time?.pause();
  return () => time?.resume();
}

function beginLink(cluster: Cluster, fault: Fault & { readonly kind: 'link' }): EndFault {
  const { rules } = cluster;
  const { node, quality } = fault;
  if (node === undefined) return rules.change({ from: undefined, to: undefined }, quality);
  const ends = [
    rules.change({ from: node, to: undefined }, quality),
    rules.change({ from: undefined, to: node }, quality),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function beginSkew(node: SimNode, fault: Fault & { readonly kind: 'clock' }): EndFault {
  const { wallOffsetMs, rate } = fault;
  const time = node.process?.time;
  time?.skew({ wallOffsetMs, rate });
  return () => time?.skew({ wallOffsetMs: 0, rate: 1 });
}
