import type { Ino } from '../../posix/ino.ts';

/** Names of the keys of a volume, which all begin with the same prefix. */
export class RedisKeys {
  /** Empty, or in a cluster `{db}`, which puts all keys of a volume into one slot. */
  readonly prefix: string;
  readonly setting: string;
  readonly acl: string;
  readonly usedSpace: string;
  readonly totalInodes: string;
  readonly dirQuota: string;
  readonly dirQuotaUsedSpace: string;
  readonly dirQuotaUsedInodes: string;
  readonly nextSession: string;
  readonly allSessions: string;
  readonly sessionInfos: string;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.setting = `${prefix}setting`;
    this.acl = `${prefix}acl`;
    this.usedSpace = `${prefix}usedSpace`;
    this.totalInodes = `${prefix}totalInodes`;
    this.dirQuota = `${prefix}dirQuota`;
    this.dirQuotaUsedSpace = `${prefix}dirQuotaUsedSpace`;
    this.dirQuotaUsedInodes = `${prefix}dirQuotaUsedInodes`;
    this.nextSession = `${prefix}nextsession`;
    this.allSessions = `${prefix}allSessions`;
    this.sessionInfos = `${prefix}sessionInfos`;
  }

  /** The attribute of an inode. */
  attr(ino: Ino): string {
    return `${this.prefix}i${ino}`;
  }

  /** The names in a directory. */
  directory(ino: Ino): string {
    return `${this.prefix}d${ino}`;
  }

  /** The parents of an inode with several links. */
  parents(ino: Ino): string {
    return `${this.prefix}p${ino}`;
  }

  /** The slice records of a chunk. */
  chunk(ino: Ino, index: number): string {
    return `${this.prefix}c${ino}_${index}`;
  }

  /** The target of a symlink. */
  symlink(ino: Ino): string {
    return `${this.prefix}s${ino}`;
  }

  /** The extended attributes of an inode. */
  xattrs(ino: Ino): string {
    return `${this.prefix}x${ino}`;
  }
}
