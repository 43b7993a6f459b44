import type { AclRule } from './acl.ts';

/** Volumes share equal rules, so they have few. */
const RULES_MAX = 4096;

/** Rules by id, which never change; the oldest goes when there are too many. */
export class AclCache {
  readonly #rules = new Map<number, AclRule>();

  /** @returns the rule, read by `read` when it is not known; that there is none is not kept */
  async get(id: number, read: () => Promise<AclRule | undefined>): Promise<AclRule | undefined> {
    const known = this.#rules.get(id);
    if (known !== undefined) return known;
    const rule = await read();
    if (rule === undefined) return undefined;
    if (this.#rules.size >= RULES_MAX) {
      const [oldest] = this.#rules.keys();
      this.#rules.delete(oldest as number);
    }
    this.#rules.set(id, rule);
    return rule;
  }
}
