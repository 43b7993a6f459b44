import type { Ino } from '../../posix/ino.ts';
import type { JobName } from '../write/meta-tx.ts';

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
  readonly nextInode: string;
  readonly nextChunk: string;
  readonly nextTrash: string;
  readonly delfiles: string;
  /** Directories that are being cloned, with the time of each. */
  readonly detachedNodes: string;
  readonly delSlices: string;
  readonly sliceRef: string;
  readonly dirDataLength: string;
  readonly dirUsedSpace: string;
  readonly dirUsedInodes: string;
  readonly aclMaxId: string;
  readonly userQuota: string;
  readonly userQuotaUsedSpace: string;
  readonly userQuotaUsedInodes: string;
  readonly groupQuota: string;
  readonly groupQuotaUsedSpace: string;
  readonly groupQuotaUsedInodes: string;

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
    this.nextInode = `${prefix}nextinode`;
    this.nextChunk = `${prefix}nextchunk`;
    this.nextTrash = `${prefix}nextTrash`;
    this.delfiles = `${prefix}delfiles`;
    this.detachedNodes = `${prefix}detachedNodes`;
    this.delSlices = `${prefix}delSlices`;
    this.sliceRef = `${prefix}sliceRef`;
    this.dirDataLength = `${prefix}dirDataLength`;
    this.dirUsedSpace = `${prefix}dirUsedSpace`;
    this.dirUsedInodes = `${prefix}dirUsedInodes`;
    this.aclMaxId = `${prefix}aclMaxId`;
    this.userQuota = `${prefix}userQuota`;
    this.userQuotaUsedSpace = `${prefix}userQuotaUsedSpace`;
    this.userQuotaUsedInodes = `${prefix}userQuotaUsedInodes`;
    this.groupQuota = `${prefix}groupQuota`;
    this.groupQuotaUsedSpace = `${prefix}groupQuotaUsedSpace`;
    this.groupQuotaUsedInodes = `${prefix}groupQuotaUsedInodes`;
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

  /** When a job was begun last. */
  job(name: JobName): string {
    return `${this.prefix}${name}`;
  }

  /** The flocks of a file. */
  flocks(ino: Ino): string {
    return `${this.prefix}lockf${ino}`;
  }

  /** The range locks of a file. */
  rangeLocks(ino: Ino): string {
    return `${this.prefix}lockp${ino}`;
  }

  /** Names of the keys where a session may hold locks. */
  locked(sid: bigint): string {
    return `${this.prefix}locked${sid}`;
  }

  /** Inodes without a name that a session has open. */
  sustained(sid: bigint): string {
    return `${this.prefix}session${sid}`;
  }

  /** Field of `sliceRef`; not a key, so without the prefix. */
  sliceField(id: bigint, sizeBytes: number): string {
    return `k${id}_${sizeBytes}`;
  }
}
