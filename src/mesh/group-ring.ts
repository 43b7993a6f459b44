import type { BlockId } from '../block/block-key.ts';
import type { NodeId } from '../block/node-id.ts';
import type { GroupView, Member, Membership } from '../peer/block-exchange.ts';
import { HashRing } from '../ring/hash-ring.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { hashText } from '../runtime/stable-hash.ts';
import { FormerRings } from './former-rings.ts';

/**
 * Owners among which holders in other zones are looked for, per holder. A zone with few nodes must not
 * get a copy of everything.
 */
const SPREAD_LOOKED_AT = 4;
/** Keys by which shares of the ring are measured: a share of an eighth is right within 3 %. */
const SHARE_SAMPLES = 8_192;

/** Building a ring takes 40 ms in a group of 4,000: in larger ones than this it waits for more changes. */
const LARGE_GROUP = 256;
const BUILD_PAUSE_MS = 500;

/** A member that has just joined, or come back, gets from others what it now owns for this long. */
export const JOINED_LATELY_MS = 600_000;

/**
 * Who owns which block, as the group looks right now. A change of who is a member, or of a weight,
 * is a new ring; a member that does not answer is passed over, and its blocks fall to their next
 * owners.
 */
export class GroupRing {
  /** Ourselves. */
  readonly self: NodeId;
  readonly #clock: Clock;
  readonly #unsubscribe: () => void;
  readonly #former: FormerRings;
  readonly #replicas: number;
  #ring: HashRing;
  #owning: string;
  #shares: ReadonlyMap<NodeId, number> | undefined;
  #view: GroupView;
  #away: ReadonlySet<NodeId> = new Set();
  #zones: ReadonlyMap<NodeId, string | undefined>;
  #isZoned: boolean;
  #builtMs: number;
  #timer: Timer | undefined;

  /**
   * @param membership - followed until {@link close}
   * @param options - `clock`: by which former rings are forgotten; `replicas`: nodes that keep each
   *   block, default 1
   */
  constructor(
    self: NodeId,
    membership: Membership,
    { clock, replicas = 1 }: { clock: Clock; replicas?: number },
  ) {
    this.self = self;
    this.#clock = clock;
    this.#replicas = replicas;
    this.#former = new FormerRings(clock);
    this.#view = membership.current();
    this.#ring = ringOf(this.#view);
    this.#owning = owning(this.#view);
    this.#zones = zonesIn(this.#view);
    this.#isZoned = new Set(this.#zones.values()).size > 1;
    this.#builtMs = clock.nowMs();
    this.#noteAway();
    this.#former.began();
    this.#unsubscribe = membership.subscribe((view) => this.#follow(view));
  }

  /** Number of the view that the present ring was built from; grows with each new ring. */
  get epoch(): number {
    return this.#ring.epoch;
  }

  /** Names the present ring: rings with the same members and weights have the same one, everywhere. */
  get fingerprint(): string {
    return hashText(this.#owning, 0).toString(16).padStart(8, '0');
  }

  /** What share of all blocks each member owns, 0 … 1, members that do not answer included. */
  get shares(): ReadonlyMap<NodeId, number> {
    this.#shares ??= sharesOf(this.#ring);
    return this.#shares;
  }

  /**
   * The first `count` owners of a block, best first; empty when nobody owns anything. The first ones,
   * which keep it, stand in different zones as far as that is possible.
   */
  owners(id: BlockId, count: number): readonly NodeId[] {
    const replicas = this.#replicas;
    if (replicas === 1 || !this.#isZoned) return this.#ranked(id, count);
    const ranked = this.#ranked(id, Math.max(count, SPREAD_LOOKED_AT * replicas));
    const [first, ...rest] = ranked;
    if (first === undefined) return [];
    const holders = [first];
    const zones = new Set([this.#zones.get(first)]);
    for (const node of rest) {
      if (holders.length === replicas || zones.has(this.#zones.get(node))) continue;
      zones.add(this.#zones.get(node));
      holders.push(node);
    }
    return [...holders, ...rest.filter((node) => !holders.includes(node))].slice(0, count);
  }

  #ranked(id: BlockId, count: number): readonly NodeId[] {
    if (this.#away.size === 0) return this.#ring.owners(id, count);
    // Each round looks further, so that one or two that are away cost little.
    for (let looked = count + 2; ; looked *= 2) {
      const all = this.#ring.owners(id, looked);
      const present = all.filter((node) => !this.#away.has(node));
      if (present.length >= count || all.length < looked) return present.slice(0, count);
    }
  }

  /**
   * The first `count` owners, those of our own zone first: whom to ask for a block that all of them
   * keep.
   *
   * @param turn - who has another number begins with another one of those that are equally near; ≥ 0
   */
  nearest(id: BlockId, count: number, turn = 0): readonly NodeId[] {
    const owners = this.owners(id, count);
    const zone = this.#zones.get(this.self);
    if (zone === undefined) return turned(owners, turn);
    const near = owners.filter((node) => this.#zones.get(node) === zone);
    const far = owners.filter((node) => this.#zones.get(node) !== zone);
    return [...turned(near, turn), ...turned(far, turn)];
  }

  /**
   * Members that owned a block lately and may still hold it, most likely first: its owner in each
   * ring of the last 10 minutes and, when we have joined or come back in that time, its next owner,
   * who had it without us. Neither ourselves nor the present first owner.
   *
   * @param count - at most
   */
  formerOwners(id: BlockId, count: number): readonly NodeId[] {
    const known = new Set([this.self, ...this.owners(id, 1)]);
    const found: NodeId[] = [];
    const add = (node: NodeId) => {
      if (found.length >= count || known.has(node)) return;
      known.add(node);
      if (this.#zones.has(node)) found.push(node);
    };
    const { joinedMs } = this.#view;
    if (joinedMs !== undefined && this.#clock.nowMs() - joinedMs < JOINED_LATELY_MS) {
      // Without us each block would be its next owner's.
      const next = this.owners(id, 2).find((node) => node !== this.self);
      if (next !== undefined) add(next);
    }
    for (const ring of this.#former.rings()) {
      const owner = ring.owner(id);
      if (owner !== undefined) add(owner);
    }
    return found;
  }

  /** Stops following the membership. */
  close(): void {
    this.#timer?.cancel();
    this.#unsubscribe();
  }

  #follow(view: GroupView): void {
    this.#view = view;
    this.#zones = zonesIn(view);
    this.#isZoned = new Set(this.#zones.values()).size > 1;
    if (this.#timer !== undefined) this.#noteAway();
    else if (view.members.length <= LARGE_GROUP) this.#build();
    else {
      this.#noteAway();
      const delayMs = Math.max(0, this.#builtMs + BUILD_PAUSE_MS - this.#clock.nowMs());
      this.#timer = this.#clock.setTimer(delayMs, () => {
        this.#timer = undefined;
        this.#build();
      });
    }
  }

  /** Makes a new ring when members or weights are other ones. */
  #build(): void {
    const next = owning(this.#view);
    if (next !== this.#owning) {
      this.#owning = next;
      this.#shares = undefined;
      this.#former.retire(this.#ring);
      this.#ring = ringOf(this.#view);
      this.#builtMs = this.#clock.nowMs();
    }
    this.#noteAway();
  }

  /** Whoever is in the ring and does not answer, or has left since it was built, is passed over. */
  #noteAway(): void {
    const nodes = this.#ring.members.map(({ nodeId }) => nodeId);
    this.#away = new Set(nodes.filter((node) => !this.#zones.has(node)));
  }
}

/** Everyone with a place in the ring, those that do not answer at present included. */
function membersIn(view: GroupView): readonly Member[] {
  return view.suspected === undefined ? view.members : [...view.members, ...view.suspected];
}

function ringOf(view: GroupView): HashRing {
  return HashRing.build(membersIn(view), view.epoch);
}

/** Those that answer, and their zones. */
function zonesIn(view: GroupView): ReadonlyMap<NodeId, string | undefined> {
  return new Map(view.members.map(({ nodeId, zone }) => [nodeId, zone]));
}

/** Who owns blocks and with which weight, as text that is the same for all who see the same. */
function owning(view: GroupView): string {
  return membersIn(view)
    .filter(({ weight }) => weight > 0)
    .map(({ nodeId, weight }) => `${nodeId} ${weight}`)
    .sort()
    .join();
}

function sharesOf(ring: HashRing): ReadonlyMap<NodeId, number> {
  const shares = new Map<NodeId, number>();
  for (let sample = 0; sample < SHARE_SAMPLES; sample += 1) {
    const owner = ring.owner(`share-${sample}`);
    if (owner !== undefined) shares.set(owner, (shares.get(owner) ?? 0) + 1 / SHARE_SAMPLES);
  }
  return shares;
}

function turned<T>(list: readonly T[], by: number): readonly T[] {
  const from = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(from), ...list.slice(0, from)];
}
