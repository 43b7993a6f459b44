import type { NodeId } from '../block/node-id.ts';
import type { AskMode } from '../peer/block-exchange.ts';

/** For whom a block is fetched: a reader on this node, or a peer that may ask for so much. */
export type Asker = 'reader' | 'any' | 'final';

/**
 * What a peer is to the block. `owner`: keeps it; `next`: would own it without those before it;
 * `former`: owned it lately, or keeps it beside us; `referred`: has just got it, another peer says.
 */
export type PeerRole = 'owner' | 'next' | 'former' | 'referred';

/** One source to try. */
export type RouteStep =
  | {
      readonly kind: 'peer';
      readonly node: NodeId;
      readonly mode: AskMode;
      readonly role: PeerRole;
      /** Referrals that led here. */
      readonly depth: number;
      /** Asked again because it was busy, after a pause. */
      readonly again: boolean;
    }
  /** This node's own disk, where the block waits to be uploaded. */
  | { readonly kind: 'stage' }
  | { readonly kind: 'origin' };

/**
 * How far a flight's sources go, which decides who may wait for it: `reader` flights may wait for
 * any peer, `holder` flights for the block's owner, `end` flights for nobody who waits for a peer.
 */
export type FlightLevel = 'reader' | 'holder' | 'end';

/** Sources in the order in which they are tried. */
export interface RoutePlan {
  readonly level: FlightLevel;
  /** This node keeps the block on disk, too. */
  readonly keepOnDisk: boolean;
  /** While all is well another node brings the block from the origin: then it may come twice. */
  readonly isAstray: boolean;
  readonly steps: readonly RouteStep[];
  /** No second source is asked beside a slow one. */
  readonly isPatient?: boolean;
}

/** What a plan is made from. */
export interface RouteView {
  readonly self: NodeId;
  /** Nodes that keep the block, best first: the first one brings it from the origin. */
  readonly holders: readonly NodeId[];
  /** The same nodes, the one to begin with first: in our zone, and another one for each reader. */
  readonly nearest: readonly NodeId[];
  /** Who would own the block without `holders`. */
  readonly next: NodeId | undefined;
  /** Who owned the block lately, most likely to hold it first. */
  readonly former: readonly NodeId[];
  /** Whether a node is to be asked now: neither silent, nor overloaded, nor known for wrong bytes. */
  usable(node: NodeId): boolean;
}

/** Peers that are only asked for what they hold; each costs a round trip when it does not. */
const HELD_ASKED = 2;
/** Peers that a reader asks before it goes to the origin by itself. */
const OWNERS_ASKED = 2;

/**
 * Orders the sources of a block.
 *
 * Nothing goes in circles: a request for `any` leads to `final` and `held` ones only, `final` to
 * `held` ones, and those to none. The first holder alone goes to the origin while all is well, so
 * a block is fetched from there once, whoever asks whom in which order.
 */
export function planRoute(asker: Asker, view: RouteView): RoutePlan {
  const { self, holders } = view;
  const isHolder = holders.includes(self);
  const keepOnDisk = holders.length === 0 || isHolder || asker === 'final';
  const asked = asker === 'reader' && !isHolder ? ownersToAsk(view) : [];
  if (asker === 'any' || (asker === 'reader' && isHolder)) asked.push(...holderToAsk(view));
  const isLast = asker !== 'reader' || isHolder;
  const held = isLast ? heldElsewhere(view, asked) : [];
  return {
    level: levelOf(asked),
    keepOnDisk,
    isAstray: holders.length > 0 && holders[0] !== self,
    steps: [...asked, ...held, { kind: 'origin' }],
  };
}

/** For a reader on a node that does not keep the block. */
function ownersToAsk(view: RouteView): RouteStep[] {
  const { self, holders, nearest, next } = view;
  const [first] = holders;
  const candidates = next === undefined || next === self ? nearest : [...nearest, next];
  const nodes = candidates.filter((node) => view.usable(node)).slice(0, OWNERS_ASKED);
  // Who is asked because others failed must not wait for those others in turn.
  const isWell = first !== undefined && view.usable(first);
  return nodes.map((node, at) => {
    const role = node === next ? 'next' : 'owner';
    return peerStep(node, at === 0 && isWell ? 'any' : 'final', role);
  });
}

/** For others, and for a reader on a holder: the holder that comes first brings the block. */
function holderToAsk(view: RouteView): RouteStep[] {
  const first = view.holders.find((node) => node === view.self || view.usable(node));
  return first === undefined || first === view.self ? [] : [peerStep(first, 'final', 'owner')];
}

/** Before the origin: whoever may have the block already. */
function heldElsewhere(view: RouteView, asked: readonly RouteStep[]): RouteStep[] {
  const { self, holders, former } = view;
  const known = new Set(asked.map((step) => (step.kind === 'peer' ? step.node : undefined)));
  const fellows = holders.includes(self) ? holders : [];
  const nodes = [...new Set([...former, ...fellows])].filter(
    (node) => node !== self && !known.has(node) && view.usable(node),
  );
  return nodes.slice(0, HELD_ASKED).map((node) => peerStep(node, 'held', 'former'));
}

/** A step to a peer that is asked for the first time. */
export function peerStep(
  node: NodeId,
  mode: AskMode,
  role: PeerRole,
  depth = 0,
): RouteStep & { kind: 'peer' } {
  return { kind: 'peer', node, mode, role, depth, again: false };
}

function levelOf(asked: readonly RouteStep[]): FlightLevel {
  const modes = asked.map((step) => (step.kind === 'peer' ? step.mode : undefined));
  if (modes.includes('any')) return 'reader';
  return modes.includes('final') ? 'holder' : 'end';
}
