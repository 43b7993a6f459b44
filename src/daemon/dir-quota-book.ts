import type { DirQuota } from '../meta/engine.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import type { DirQuotas } from '../meta/write/dir-quotas.ts';
import type { DirQuotaAt } from '../meta/write/scans.ts';
import { type Ino, TRASH_INO } from '../posix/ino.ts';
import { inodePath } from './inode-path.ts';
import { MetaTree } from './meta-tree.ts';
import { UsageError } from './quantities.ts';
import { isWrong, type NewLimits, type QuotaBook, type QuotaLine } from './quota-book.ts';

/** A directory that was named. */
interface Named {
  readonly path: string;
  readonly dir: Ino;
}

/** The quotas of directories, by `--path`. */
export class DirQuotaBook implements QuotaBook {
  readonly #meta: WritableEngine;
  readonly #quotas: DirQuotas;
  readonly #named: Named | undefined;
  readonly #signal: AbortSignal;

  private constructor(
    meta: WritableEngine,
    quotas: DirQuotas,
    named: Named | undefined,
    signal: AbortSignal,
  ) {
    this.#meta = meta;
    this.#quotas = quotas;
    this.#named = named;
    this.#signal = signal;
  }

  /** @param path - of `--path`; undefined: all directories. @throws UsageError */
  static async open(
    meta: WritableEngine,
    quotas: DirQuotas,
    path: string | undefined,
    signal: AbortSignal,
  ): Promise<DirQuotaBook> {
    if (path === undefined) return new DirQuotaBook(meta, quotas, undefined, signal);
    const node = await new MetaTree({ meta, signal }).find(path);
    if (!node.isDirectory) throw new UsageError(`--path: ${path} is not a directory`);
    if (node.ino >= TRASH_INO) throw new UsageError('--path: the trash has no quota');
    return new DirQuotaBook(meta, quotas, { path, dir: node.ino }, signal);
  }

  async list(): Promise<QuotaLine[]> {
    const wanted = await this.#wanted();
    const lines: QuotaLine[] = [];
    for (const { dir, quota } of wanted) lines.push(lineOf(await this.#pathOf(dir), quota));
    return lines.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async get(): Promise<QuotaLine> {
    const { path, dir } = this.#one();
    const quota = await this.#quotas.get(dir, this.#signal);
    if (quota === undefined) throw noQuota(path);
    return lineOf(path, quota);
  }

  async set(limits: NewLimits): Promise<QuotaLine> {
    await this.#quotas.set(this.#one().dir, limits, this.#signal);
    return this.get();
  }

  async remove(): Promise<QuotaLine> {
    const before = await this.get();
    await this.#quotas.remove(this.#one().dir, this.#signal);
    return before;
  }

  async check(isRepaired: boolean): Promise<QuotaLine[]> {
    const wanted = await this.#wanted();
    if (this.#named !== undefined && wanted.length === 0) throw noQuota(this.#named.path);
    const lines: QuotaLine[] = [];
    for (const each of wanted) {
      const { quota, actual } = await this.#quotas.check(each, this.#signal);
      const line = { ...lineOf(await this.#pathOf(each.dir), quota), actual };
      if (isRepaired && isWrong(line)) await this.#quotas.repair(each.dir, this.#signal);
      lines.push(line);
    }
    return lines;
  }

  async #wanted(): Promise<DirQuotaAt[]> {
    const all = await this.#quotas.list(this.#signal);
    const named = this.#named;
    return named === undefined ? all : all.filter(({ dir }) => dir === named.dir);
  }

  #one(): Named {
    if (this.#named === undefined) throw new UsageError('--path: which directory of the volume?');
    return this.#named;
  }

  async #pathOf(dir: Ino): Promise<string> {
    const nameless = `inode ${dir}`;
    const otherwise = { gone: `${nameless}, which is gone`, nameless };
    return await inodePath(this.#meta, dir, otherwise, this.#signal);
  }
}

function lineOf(path: string, quota: DirQuota): QuotaLine {
  return { name: path, key: { path }, quota };
}

function noQuota(path: string): UsageError {
  return new UsageError(`--path: ${path} has no quota`);
}
