import type { Ino } from '../../posix/ino.ts';
import type { DirQuota } from '../engine.ts';
import type { WritableEngine } from '../writable-engine.ts';
import type { SetDirQuota } from './dir-quota.ts';
import type { Usage } from './meta-tx.ts';
import type { DirQuotaAt } from './scans.ts';
import { sumTree } from './sum-directory.ts';
import type { WriteRunner } from './write-runner.ts';

/** What a quota says, and what there is. */
export interface QuotaCheck {
  readonly quota: DirQuota;
  readonly actual: Usage;
}

/** The quotas of directories, for whoever administers a volume. */
export class DirQuotas {
  readonly #engine: WritableEngine;
  readonly #runner: WriteRunner;

  constructor(engine: WritableEngine, runner: WriteRunner) {
    this.#engine = engine;
    this.#runner = runner;
  }

  list(signal: AbortSignal): Promise<DirQuotaAt[]> {
    return this.#engine.scans.dirQuotas(signal);
  }

  get(dir: Ino, signal: AbortSignal): Promise<DirQuota | undefined> {
    return this.#engine.dirQuota(dir, signal);
  }

  /**
   * Limits a directory. What a new quota is charged with is counted after it is there; what others
   * change meanwhile can be missing until it is repaired.
   *
   * @throws FsError ENOENT, ENOTDIR, EPERM; MetaError
   */
  async set(
    dir: Ino,
    limits: Pick<SetDirQuota, 'maxBytes' | 'maxInodes'>,
    signal: AbortSignal,
  ): Promise<void> {
    const isNew = await this.#set({ dir, ...limits }, signal);
    if (isNew) await this.repair(dir, signal);
  }

  /** @returns whether there was one */
  remove(dir: Ino, signal: AbortSignal): Promise<boolean> {
    return this.#runner.run('removeDirQuota', { dir }, { turns: [dir], signal });
  }

  /** Counts what is in a directory. */
  async check({ dir, quota }: DirQuotaAt, signal: AbortSignal): Promise<QuotaCheck> {
    return { quota, actual: await this.#below(dir, signal) };
  }

  /** Counts what is in a directory, and charges its quota with that. */
  async repair(dir: Ino, signal: AbortSignal): Promise<void> {
    await this.#set({ dir, used: await this.#below(dir, signal) }, signal);
  }

  #set(args: SetDirQuota, signal: AbortSignal): Promise<boolean> {
    return this.#runner.run('setDirQuota', args, { turns: [args.dir], signal });
  }

  /** The directory itself is not charged. */
  async #below(dir: Ino, signal: AbortSignal): Promise<Usage> {
    const { space, inodes } = await sumTree(this.#engine, dir, signal);
    return { space: space - DIRECTORY_BYTES, inodes: inodes - 1n };
  }
}

const DIRECTORY_BYTES = 4096n;
