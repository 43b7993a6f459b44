import type { AttrChanges } from '../../fuse/mutations.ts';
import type { AttrReply, FuseContext } from '../../fuse/operations.ts';
import { decodeAclXattr } from '../../meta/acl-xattr-decode.ts';
import { type Attr, FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { Ino } from '../../posix/ino.ts';
import { isSpecial, VIRTUAL_TIMEOUT_MS } from '../virtual-nodes.ts';
import { ACL_ACCESS, isServedXattr, XATTR_NAME_BYTES_MAX } from '../xattrs.ts';
import { callOf, type WriteParts } from './write-parts.ts';

/** An extended attribute to set. */
interface NewXattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
  readonly how: 'any' | 'create' | 'replace';
}

/** Attributes that change. Inode numbers are the kernel's. */
export class AttrChanging {
  readonly #parts: WriteParts;

  constructor(parts: WriteParts) {
    this.#parts = parts;
  }

  /** @throws FsError ENOENT, EPERM, EACCES, EINVAL, EFBIG, ENOSPC, EDQUOT, EIO (data was lost) */
  async setattr(context: FuseContext, ino: Ino, changes: AttrChanges): Promise<AttrReply> {
    const { root, virtual, options, told } = this.#parts;
    const volumeIno = root.toVolume(ino);
    const made = virtual.attrOf(volumeIno);
    // As JuiceFS has it: nothing happens, successfully.
    if (made !== undefined) return { attr: made, attrTimeoutMs: VIRTUAL_TIMEOUT_MS };
    const attr = await this.#apply(context, volumeIno, changes);
    if (attr.type === FileType.file) told.note(volumeIno, attr);
    return { attr, attrTimeoutMs: options.attrCacheMs };
  }

  /** @throws FsError EEXIST, ENODATA, EINVAL, ERANGE, EPERM, ENOSYS (switched off), EOPNOTSUPP */
  async setxattr(context: FuseContext, ino: Ino, { name, value, how }: NewXattr): Promise<void> {
    const { writer, openFiles } = this.#parts;
    const { volumeIno, acl } = this.#xattr(ino, name);
    if (acl === undefined) {
      await writer.setxattr(volumeIno, { name, value, how }, callOf(context));
      return;
    }
    const rule = decodeAclXattr(value);
    const attr = await writer.setAcl(volumeIno, { kind: acl, rule }, callOf(context));
    openFiles.changed(volumeIno, attr, { content: false });
  }

  /** @throws FsError ENODATA, EINVAL, EPERM, ENOSYS (switched off) */
  async removexattr(context: FuseContext, ino: Ino, name: Uint8Array): Promise<void> {
    const { writer, openFiles } = this.#parts;
    const { volumeIno, acl } = this.#xattr(ino, name);
    if (acl === undefined) {
      await writer.removexattr(volumeIno, name, callOf(context));
      return;
    }
    const attr = await writer.setAcl(volumeIno, { kind: acl, rule: undefined }, callOf(context));
    openFiles.changed(volumeIno, attr, { content: false });
  }

  async #apply(context: FuseContext, ino: Ino, changes: AttrChanges): Promise<Attr> {
    const { nodes, writers, writer, openFiles } = this.#parts;
    const { size, fh, ...set } = changes;
    // What is committed later would set its own time over the one that is set now.
    if (set.mtime !== undefined) await writers.flush(ino, context.signal);
    const call = callOf(context);
    let attr: Attr | undefined;
    if (Object.keys(set).length > 0) {
      attr = await writer.setattr(ino, set, call);
      attr = openFiles.changed(ino, attr, { content: false });
    }
    if (size === undefined) return attr ?? (await nodes.attrOf(ino, context.signal));
    return await writers.alone(ino, context.signal, async () => {
      const byHandle = fh !== undefined;
      const cut = await writer.truncate(ino, size, call, { byHandle });
      return openFiles.changed(ino, cut, { content: true });
    });
  }

  /** What an extended attribute's name stands for. */
  #xattr(ino: Ino, name: Uint8Array): { volumeIno: Ino; acl: 'access' | 'default' | undefined } {
    const { root, options, setting } = this.#parts;
    if (!options.enableXattr && !setting.enableAcl) throw new FsError('ENOSYS');
    const text = Buffer.from(name).toString('latin1');
    if (!isServedXattr(text, options, setting)) throw new FsError('EOPNOTSUPP');
    const volumeIno = root.toVolume(ino);
    if (isSpecial(volumeIno)) throw new FsError('EPERM');
    if (name.byteLength > XATTR_NAME_BYTES_MAX) throw new FsError('ERANGE');
    if (!text.startsWith('system.posix_acl_')) return { volumeIno, acl: undefined };
    return { volumeIno, acl: text === ACL_ACCESS ? 'access' : 'default' };
  }
}
