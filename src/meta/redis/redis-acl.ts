import type { Redis } from 'ioredis';
import { decodeAclRule, encodeAclRule } from '../acl-codec.ts';
import { sameRule } from '../acl-rule.ts';
import type { AclRule } from '../acl.ts';
import { MetaError } from '../engine.ts';
import { asBuffer } from './redis-directory.ts';
import type { RedisKeys } from './redis-keys.ts';

/** Ids per HMGET. */
const IDS_PER_READ = 1000;

/** ACL rules by id, and ids of rules. They never change, so all that was read is kept. */
export class RedisAcl {
  readonly #keys: RedisKeys;
  readonly #rules = new Map<number, AclRule>();
  /** All ids up to this one have been read. */
  #knownTo = 0;

  constructor(keys: RedisKeys) {
    this.#keys = keys;
  }

  /** @see TxReads.aclRule */
  async rule(client: Redis, id: number): Promise<AclRule | undefined> {
    const known = this.#rules.get(id);
    if (known !== undefined) return known;
    const value = await client.hgetBuffer(this.#keys.acl, String(id));
    return value === null ? undefined : this.#learn(id, value);
  }

  /** @see TxDraws.internAclRule */
  async intern(client: Redis, rule: AclRule): Promise<number> {
    await this.#learnAll(client);
    for (const [id, known] of this.#rules) {
      if (sameRule(known, rule)) return id;
    }
    const id = await client.incr(this.#keys.aclMaxId);
    await client.hsetnx(this.#keys.acl, String(id), asBuffer(encodeAclRule(rule)));
    this.#rules.set(id, rule);
    return id;
  }

  async #learnAll(client: Redis): Promise<void> {
    const last = Number((await client.get(this.#keys.aclMaxId)) ?? '0');
    while (this.#knownTo < last) {
      const count = Math.min(IDS_PER_READ, last - this.#knownTo);
      const ids = Array.from({ length: count }, (_, step) => this.#knownTo + 1 + step);
      const values = await client.hmgetBuffer(this.#keys.acl, ...ids.map(String));
      ids.forEach((id, index) => {
        const value = values[index] ?? undefined;
        if (value !== undefined) this.#learn(id, value);
      });
      this.#knownTo += count;
    }
  }

  #learn(id: number, value: Buffer): AclRule {
    const rule = decodeAclRule(value);
    if (rule === undefined) throw new MetaError('corrupt', `the ACL rule ${id}`);
    this.#rules.set(id, rule);
    return rule;
  }
}
