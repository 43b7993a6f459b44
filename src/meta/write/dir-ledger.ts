import { FsError } from '../../posix/errno.ts';
import { type Ino, ROOT_INO } from '../../posix/ino.ts';
import type { DirQuota } from '../engine.ts';
import { isTrashIno } from './entry-name.ts';
import type { DirStats, MetaTx, Usage } from './meta-tx.ts';

/** Deeper trees than this are circles. */
const DEPTH_MAX = 10_000;

/** The limits of a tree, and where they are set. */
export interface TreeQuota {
  readonly dir: Ino;
  readonly quota: DirQuota;
}

/** `off`: none are kept. @see TxReads.dirStatsState */
type StatsState = 'off' | 'known' | 'empty' | 'missing';

/** What one directory's statistics and the quotas above it are charged with. */
export class DirLedger {
  readonly #tx: MetaTx;
  readonly #dir: Ino;
  readonly #state: StatsState;
  readonly #quotas: readonly TreeQuota[];
  #mustInit: boolean;

  private constructor(tx: MetaTx, dir: Ino, state: StatsState, quotas: readonly TreeQuota[]) {
    this.#tx = tx;
    this.#dir = dir;
    this.#state = state;
    this.#quotas = quotas;
    this.#mustInit = state === 'empty';
  }

  /** Reads what it needs. A directory whose names change must be watched by the body itself. */
  static async open(tx: MetaTx, dir: Ino): Promise<DirLedger> {
    if (!tx.rules.dirStats) return new DirLedger(tx, dir, 'off', []);
    const [state, quotas] = await Promise.all([tx.dirStatsState(dir), quotasAbove(tx, dir)]);
    return new DirLedger(tx, dir, state, quotas);
  }

  /** Of the statistics. */
  get state(): StatsState {
    return this.#state;
  }

  /** The nearest directory with a quota, this one included. */
  get quotaRoot(): Ino | undefined {
    return this.#quotas[0]?.dir;
  }

  /** @throws FsError EDQUOT when a quota above has no room for that much more */
  check(delta: Usage): void {
    for (const { dir, quota } of this.#quotas) {
      if (isExceeded(quota, delta)) throw new FsError('EDQUOT', `the quota of directory ${dir}`);
    }
  }

  /** Charges the statistics and the quotas. */
  charge(delta: DirStats): void {
    this.chargeStats(delta);
    this.chargeQuotas(delta);
  }

  /** Charges the statistics only. */
  chargeStats(delta: DirStats): void {
    if (this.#state === 'off') return;
    if (this.#state === 'missing') {
      this.#tx.noteStaleStats(this.#dir);
      return;
    }
    if (this.#mustInit) this.#tx.initDirStats(this.#dir);
    this.#mustInit = false;
    this.#tx.addDirStats(this.#dir, delta);
  }

  /** Charges the quotas only. */
  chargeQuotas(delta: Usage): void {
    for (const { dir } of this.#quotas) this.#tx.addDirQuotaUsage(dir, delta);
  }
}

/** Whether limits have no room for that much more; only growth is limited. */
export function isExceeded(quota: DirQuota, { space, inodes }: Usage): boolean {
  const { maxBytes, maxInodes, usedBytes, usedInodes } = quota;
  if (space > 0n && maxBytes > 0n && usedBytes + space > maxBytes) return true;
  return inodes > 0n && maxInodes > 0n && usedInodes + inodes > maxInodes;
}

/** Quotas from a directory up to the root, the nearest first. The trash has none. */
async function quotasAbove(tx: MetaTx, dir: Ino): Promise<TreeQuota[]> {
  if (!tx.rules.hasDirQuotas) return [];
  const quotas: TreeQuota[] = [];
  let at = dir;
  for (let depth = 0; depth < DEPTH_MAX && at > 0n && !isTrashIno(at); depth += 1) {
    const [quota, attr] = await Promise.all([tx.dirQuota(at), tx.peekAttr(at)]);
    if (quota !== undefined) quotas.push({ dir: at, quota });
    if (at === ROOT_INO || attr === undefined) break;
    at = attr.parent;
  }
  return quotas;
}
