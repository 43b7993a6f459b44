import type { Ino } from '../../posix/ino.ts';
import { ROOT_INO } from '../../posix/ino.ts';
import type { DirQuota } from '../engine.ts';
import type { WritableEngine } from '../writable-engine.ts';
import type { QuotaCheck } from './dir-quotas.ts';
import type { OwnerKind, Usage } from './meta-tx.ts';
import { NO_OWNER_LIMIT, type QuotaOwner, type SetOwnerQuota } from './owner-quota.ts';
import { type OwnerUsage, sumOwners } from './sum-owners.ts';
import type { WriteRunner } from './write-runner.ts';

/** What is stored of somebody, and what there is. */
export interface OwnerCheck extends QuotaCheck, QuotaOwner {}

const KINDS: readonly OwnerKind[] = ['user', 'group'];
const NOTHING: Usage = { space: 0n, inodes: 0n };
const UNLIMITED = { maxBytes: NO_OWNER_LIMIT, maxInodes: NO_OWNER_LIMIT };
/** Nobody else waits for what is changed here: there is one turn for all. */
const TURNS: readonly [Ino, ...Ino[]] = [ROOT_INO];

/** The quotas of users and groups, for whoever administers a volume that keeps their usage. */
export class OwnerQuotas {
  readonly #engine: WritableEngine;
  readonly #runner: WriteRunner;

  constructor(engine: WritableEngine, runner: WriteRunner) {
    this.#engine = engine;
    this.#runner = runner;
  }

  /** Everybody whose usage is known, users first; most have no limits. */
  async list(signal: AbortSignal): Promise<(QuotaOwner & { readonly quota: DirQuota })[]> {
    const { scans } = this.#engine;
    const users = await scans.ownerQuotas('user', signal);
    const groups = await scans.ownerQuotas('group', signal);
    return [
      ...users.map((each) => ({ kind: 'user' as const, ...each })),
      ...groups.map((each) => ({ kind: 'group' as const, ...each })),
    ];
  }

  /** Undefined when nothing was ever theirs. */
  async get({ kind, id }: QuotaOwner, signal: AbortSignal): Promise<DirQuota | undefined> {
    const all = await this.#engine.scans.ownerQuotas(kind, signal);
    return all.find((each) => each.id === id)?.quota;
  }

  /** @throws MetaError */
  async set(
    { kind, id }: QuotaOwner,
    limits: Pick<SetOwnerQuota, 'maxBytes' | 'maxInodes'>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#store({ kind, id, ...limits }, signal);
  }

  /** Takes the limits away; the usage is kept. */
  async remove({ kind, id }: QuotaOwner, signal: AbortSignal): Promise<void> {
    await this.#store({ kind, id, ...UNLIMITED }, signal);
  }

  /**
   * Counts what is everybody's, beside what is stored; what others change meanwhile can be missing.
   * Everybody who has something, is stored with something, or has limits is there, users first.
   */
  async check(signal: AbortSignal): Promise<OwnerCheck[]> {
    const found = await sumOwners(this.#engine, signal);
    const stored = await this.list(signal);
    return KINDS.flatMap((kind) =>
      checksOf(
        found,
        kind,
        stored.filter((each) => each.kind === kind),
      ),
    );
  }

  /** Counts what is everybody's and stores it. @see check */
  async countAll(signal: AbortSignal): Promise<void> {
    for (const each of await this.check(signal)) await this.repair(each, signal);
  }

  /** Stores what was counted. */
  async repair({ kind, id, actual }: OwnerCheck, signal: AbortSignal): Promise<void> {
    await this.#store({ kind, id, used: actual }, signal);
  }

  async #store(args: SetOwnerQuota, signal: AbortSignal): Promise<void> {
    await this.#runner.run('setOwnerQuota', args, { turns: TURNS, signal });
  }
}

function checksOf(
  found: OwnerUsage,
  kind: OwnerKind,
  stored: readonly { readonly id: number; readonly quota: DirQuota }[],
): OwnerCheck[] {
  const quotas = new Map(stored.map(({ id, quota }) => [id, quota]));
  const ids = new Set([...quotas.keys(), ...found[kind].keys()]);
  return [...ids]
    .toSorted((a, b) => a - b)
    .map((id) => {
      const quota = quotas.get(id) ?? { ...UNLIMITED, usedBytes: 0n, usedInodes: 0n };
      return { kind, id, quota, actual: found[kind].get(id) ?? NOTHING };
    });
}
