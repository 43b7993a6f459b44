import type { DirQuota } from '../meta/engine.ts';
import type { QuotaOwner } from '../meta/write/owner-quota.ts';
import type { OwnerQuotas } from '../meta/write/owner-quotas.ts';
import { UsageError } from './quantities.ts';
import { isWrong, type NewLimits, type QuotaBook, type QuotaLine } from './quota-book.ts';

/** The quotas of users and groups, by `--uid` and `--gid`. */
export class OwnerQuotaBook implements QuotaBook {
  readonly #quotas: OwnerQuotas;
  readonly #named: QuotaOwner | undefined;
  readonly #signal: AbortSignal;

  /** @param named - undefined: all users and groups */
  constructor(quotas: OwnerQuotas, named: QuotaOwner | undefined, signal: AbortSignal) {
    this.#quotas = quotas;
    this.#named = named;
    this.#signal = signal;
  }

  async list(): Promise<QuotaLine[]> {
    const all = await this.#quotas.list(this.#signal);
    return all
      .filter((each) => this.#isWanted(each) && isLimited(each.quota))
      .map((each) => lineOf(each, each.quota));
  }

  async get(): Promise<QuotaLine> {
    const owner = this.#one();
    const quota = await this.#quotas.get(owner, this.#signal);
    if (quota === undefined) throw noQuota(owner);
    return lineOf(owner, quota);
  }

  async set(limits: NewLimits): Promise<QuotaLine> {
    await this.#quotas.set(this.#one(), limits, this.#signal);
    return this.get();
  }

  async remove(): Promise<QuotaLine> {
    const before = await this.get();
    if (!isLimited(before.quota)) throw noQuota(this.#one());
    await this.#quotas.remove(this.#one(), this.#signal);
    return before;
  }

  async check(isRepaired: boolean): Promise<QuotaLine[]> {
    const all = await this.#quotas.check(this.#signal);
    const lines: QuotaLine[] = [];
    for (const each of all.filter((owner) => this.#isWanted(owner))) {
      const line = { ...lineOf(each, each.quota), actual: each.actual };
      if (isRepaired && isWrong(line)) await this.#quotas.repair(each, this.#signal);
      lines.push(line);
    }
    return lines;
  }

  #isWanted({ kind, id }: QuotaOwner): boolean {
    const named = this.#named;
    return named === undefined || (named.kind === kind && named.id === id);
  }

  #one(): QuotaOwner {
    if (this.#named === undefined) throw new UsageError('--uid or --gid: whose quota?');
    return this.#named;
  }
}

function isLimited({ maxBytes, maxInodes }: DirQuota): boolean {
  return maxBytes > 0n || maxInodes > 0n;
}

function nameOf({ kind }: QuotaOwner): 'uid' | 'gid' {
  return kind === 'user' ? 'uid' : 'gid';
}

function lineOf(owner: QuotaOwner, quota: DirQuota): QuotaLine {
  const name = nameOf(owner);
  return { name: `${name} ${owner.id}`, key: { [name]: owner.id }, quota };
}

function noQuota(owner: QuotaOwner): UsageError {
  return new UsageError(`--${nameOf(owner)}: ${owner.id} has no quota`);
}
