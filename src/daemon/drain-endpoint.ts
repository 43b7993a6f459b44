import type { Drain, DrainProgress } from '../mesh/warm/drain.ts';
import type { ControlQuestion } from './control-socket.ts';
import type { CacheGroup } from './group.ts';
import type { GroupConfig } from './mount-config.ts';
import { UsageError } from './quantities.ts';

/** JuiceFS's default share of a member, for one that was mounted with 0 and is to keep blocks. */
const USUAL_WEIGHT = 100;

/** A line of `cachemesh drain --json`. */
export interface DrainLine extends DrainProgress {
  /** This node's share of the blocks at present. */
  readonly weight: number;
}

/** The daemon's side of `cachemesh drain`. */
export class DrainEndpoint {
  readonly #group: CacheGroup | undefined;
  readonly #drain: Drain | undefined;
  readonly #config: Pick<GroupConfig, 'weight' | 'noSharing'>;

  /** @param config - what the daemon was mounted with */
  constructor(
    parts: { group: CacheGroup | undefined; drain: Drain | undefined },
    config: Pick<GroupConfig, 'weight' | 'noSharing'>,
  ) {
    this.#group = parts.group;
    this.#drain = parts.drain;
    this.#config = config;
  }

  /**
   * With `?begin` or `?undo`: changes this node's weight, and begins or ends the drain. Tells how far
   * it is.
   *
   * @throws UsageError outside a cache group
   */
  async answer({ url }: ControlQuestion): Promise<DrainLine> {
    const group = this.#group;
    const drain = this.#drain;
    if (group === undefined || drain === undefined) {
      throw new UsageError('this mount is in no cache group');
    }
    const { weight, noSharing } = this.#config;
    if (noSharing) throw new UsageError('with --no-sharing this mount keeps no blocks for others');
    if (url.searchParams.has('begin')) {
      group.host.setWeight(0);
      drain.begin();
    } else if (url.searchParams.has('undo')) {
      drain.end();
      group.host.setWeight(weight === 0 ? USUAL_WEIGHT : weight);
    }
    return { ...drain.progress, weight: group.host.weight };
  }
}
