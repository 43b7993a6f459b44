import { encodeAclXattr } from '../meta/acl-xattr.ts';
import type { FuseContext } from '../fuse/operations.ts';
import { FsError } from '../posix/errno.ts';
import type { Ino } from '../posix/ino.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import type { Nodes } from './nodes.ts';
import type { VfsOptions } from './options.ts';
import type { RootMap } from './root-map.ts';
import type { VfsParts } from './vfs-parts.ts';
import { isSpecial } from './virtual-nodes.ts';

/** Longest name of an extended attribute. @see linux/limits.h XATTR_NAME_MAX */
export const XATTR_NAME_BYTES_MAX = 255;
/** The extended attribute that holds an inode's ACL. */
export const ACL_ACCESS = 'system.posix_acl_access';
const ACL_DEFAULT = 'system.posix_acl_default';

/** Extended attributes, POSIX ACLs among them. */
export class Xattrs {
  readonly #parts: Pick<VfsParts, 'meta' | 'setting' | 'options'>;
  readonly #root: RootMap;
  readonly #nodes: Nodes;

  constructor(parts: Pick<VfsParts, 'meta' | 'setting' | 'options'>, root: RootMap, nodes: Nodes) {
    this.#parts = parts;
    this.#root = root;
    this.#nodes = nodes;
  }

  /** @throws FsError ENODATA, ERANGE (name too long), EINVAL (no name), ENOSYS (switched off), ENOENT */
  async get(context: FuseContext, ino: Ino, name: Uint8Array): Promise<Uint8Array> {
    this.#checkEnabled();
    const text = Buffer.from(name).toString('latin1');
    const { options, setting } = this.#parts;
    if (!isServedXattr(text, options, setting)) throw new FsError('ENODATA');
    const volumeIno = this.#root.toVolume(ino);
    if (isSpecial(volumeIno)) throw new FsError('ENODATA');
    if (name.byteLength > XATTR_NAME_BYTES_MAX) throw new FsError('ERANGE');
    if (name.byteLength === 0) throw new FsError('EINVAL', 'an empty name');
    if (text === ACL_ACCESS || text === ACL_DEFAULT) {
      return this.#acl(volumeIno, text === ACL_ACCESS, context.signal);
    }
    const value = await this.#parts.meta.getxattr(volumeIno, name, context.signal);
    if (value === undefined) throw new FsError('ENODATA');
    return value;
  }

  /** @throws FsError ENODATA, ENOSYS (switched off), ENOENT */
  async list(context: FuseContext, ino: Ino): Promise<readonly Uint8Array[]> {
    this.#checkEnabled();
    const volumeIno = this.#root.toVolume(ino);
    if (isSpecial(volumeIno)) throw new FsError('ENODATA');
    const names = await this.#parts.meta.listxattr(volumeIno, context.signal);
    if (!this.#parts.setting.enableAcl) return names;
    const attr = await this.#nodes.attrOf(volumeIno, context.signal);
    const acls: Uint8Array[] = [];
    if (attr.accessAclId !== 0) acls.push(Buffer.from(ACL_ACCESS));
    if (attr.defaultAclId !== 0) acls.push(Buffer.from(ACL_DEFAULT));
    return [...names, ...acls];
  }

  async #acl(ino: Ino, access: boolean, signal: AbortSignal): Promise<Uint8Array> {
    const attr = await this.#nodes.attrOf(ino, signal);
    const id = access ? attr.accessAclId : attr.defaultAclId;
    if (id === 0) throw new FsError('ENODATA');
    const rule = await this.#parts.meta.aclRule(id, signal);
    if (rule === undefined) throw new FsError('EIO', `inode ${ino} names access rule ${id}, lost`);
    return encodeAclXattr(rule);
  }

  /** The kernel asks no more after ENOSYS. */
  #checkEnabled(): void {
    const { options, setting } = this.#parts;
    if (!options.enableXattr && !setting.enableAcl) throw new FsError('ENOSYS');
  }
}

/** Whether this mount has extended attributes of a name. */
export function isServedXattr(
  name: string,
  options: Pick<VfsOptions, 'enableCap' | 'enableSelinux'>,
  setting: Pick<VolumeSetting, 'enableAcl'>,
): boolean {
  switch (name) {
    case 'security.capability':
      return options.enableCap;
    case 'security.selinux':
      return options.enableSelinux;
    case ACL_ACCESS:
    case ACL_DEFAULT:
      return setting.enableAcl;
    default:
      return true;
  }
}
