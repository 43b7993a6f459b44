import { parseSetting } from '../meta/parse-setting.ts';
import { REMOVED } from '../meta/secrets.ts';
import { printSetting, type SettingFieldsByName } from '../meta/setting-text.ts';
import type { OwnerKind } from '../meta/write/meta-tx.ts';
import type { DeletedFile, VolumeCounters } from '../meta/write/scans.ts';
import { type Ino, toIno } from '../posix/ino.ts';
import type { DumpValue } from './dump-reader.ts';
import { DumpFields, objects } from './dump-values.ts';
import { DumpError } from './json-events.ts';

/** Limits of a directory, a user or a group; −1 is none. */
export interface DumpedLimits {
  readonly maxBytes: bigint;
  readonly maxInodes: bigint;
}

const I64_MAX = (1n << 63n) - 1n;
const ID_MAX = 2 ** 32 - 1;
const SECRETS = ['SecretKey', 'SessionToken', 'EncryptKey'];
/** Clients do not continue these: no session, and nothing of it, is in a dump. */
const IGNORED = new Set(['Sustained', 'ChangeLog']);

/** What a dump tells beside its trees. */
export class LoadHead {
  #setting: SettingFieldsByName | undefined;
  #counters: Omit<VolumeCounters, 'usedBytes' | 'inodes'> | undefined;
  /** How many files and directories there should be. */
  expected = 0n;
  deleted: readonly (DeletedFile & { readonly seconds: bigint })[] = [];
  readonly dirs = new Map<Ino, DumpedLimits>();
  readonly owners: Readonly<Record<OwnerKind, Map<number, DumpedLimits>>> = {
    user: new Map(),
    group: new Map(),
  };

  /** @throws DumpError when it is not there */
  get setting(): SettingFieldsByName {
    if (this.#setting === undefined) throw new DumpError('the dump has no Setting');
    return this.#setting;
  }

  /** @throws DumpError when they are not there */
  get counters(): Omit<VolumeCounters, 'usedBytes' | 'inodes'> {
    if (this.#counters === undefined) throw new DumpError('the dump has no Counters');
    return this.#counters;
  }

  /** Names of secrets that were left out of the dump. */
  get removedSecrets(): string[] {
    return SECRETS.filter((name) => this.setting[name] === REMOVED);
  }

  /** @throws DumpError, MetaError `bad-setting`, `incompatible` */
  set(name: string, value: DumpValue): void {
    if (name === 'Setting') this.#setSetting(value);
    else if (name === 'Counters') this.#setCounters(value);
    else if (name === 'DelFiles') this.#setDeleted(value);
    else if (name === 'Quotas') readLimits(name, value, (id, limits) => this.#setDir(id, limits));
    else if (name === 'UserQuotas' || name === 'GroupQuotas') {
      const owners = this.owners[name === 'UserQuotas' ? 'user' : 'group'];
      readLimits(name, value, (id, limits) => void owners.set(ownerOf(name, id), limits));
    } else if (!IGNORED.has(name)) throw new DumpError(`"${name}" is nothing of a dump`);
  }

  #setSetting(value: DumpValue): void {
    // Finds out what it is; what it holds is checked before anything is loaded.
    new DumpFields(value, 'Setting');
    const setting = value as unknown as SettingFieldsByName;
    parseSetting(printSetting(setting));
    this.#setting = setting;
  }

  #setCounters(value: DumpValue): void {
    const fields = new DumpFields(value, 'Counters');
    this.expected = fields.big('usedInodes', I64_MAX, -I64_MAX);
    const counter = (name: string) => fields.big(name, I64_MAX, -I64_MAX);
    this.#counters = {
      ...{ nextInode: counter('nextInodes'), nextChunk: counter('nextChunk') },
      ...{ nextSession: counter('nextSession'), nextTrash: counter('nextTrash') },
    };
  }

  #setDeleted(value: DumpValue): void {
    this.deleted = objects(value, 'DelFiles').map((file) => ({
      ino: toIno(file.big('inode', I64_MAX, 1n)),
      length: file.big('length', I64_MAX),
      seconds: file.big('expire', I64_MAX),
    }));
  }

  #setDir(id: bigint, limits: DumpedLimits): void {
    this.dirs.set(toIno(id), limits);
  }
}

function ownerOf(name: string, id: bigint): number {
  if (id > BigInt(ID_MAX)) throw new DumpError(`${name}: ${id} is no id`);
  return Number(id);
}

function readLimits(
  name: string,
  value: DumpValue,
  each: (id: bigint, limits: DumpedLimits) => void,
): void {
  new DumpFields(value, name);
  for (const [key, limits] of Object.entries(value as Record<string, DumpValue>)) {
    if (!/^[0-9]{1,19}$/.test(key)) throw new DumpError(`${name}: "${key}" is no id`);
    const fields = new DumpFields(limits, `${name}: ${key}`);
    const limit = (field: string) => {
      const stored = fields.big(field, I64_MAX, -I64_MAX);
      return stored < 0n ? -1n : stored;
    };
    each(BigInt(key), { maxBytes: limit('maxSpace'), maxInodes: limit('maxInodes') });
  }
}
