import assert from 'node:assert/strict';
import { FileType } from '../../posix/attr.ts';
import { FsError } from '../../posix/errno.ts';
import type { FuseMutations, LockRequest, NameIn } from '../mutations.ts';
import type { FuseFileSystem } from '../file-system.ts';
import type { FuseContext } from '../operations.ts';
import type { LockBody, RenameBody } from '../wire/change-bodies.ts';
import * as reply from '../wire/replies.ts';
import type { OpcodeName } from '../wire/opcodes.ts';
import type { RequestOf } from '../wire/request.ts';
import type { Answer } from './answer.ts';
import { EMPTY_ANSWER } from './answer.ts';

/** Answers one type of request that changes something. Throws FsError; anything else is a bug. */
type Handler<Name extends OpcodeName> = (
  operations: FuseFileSystem,
  context: FuseContext,
  request: RequestOf<Name>,
) => Promise<Answer>;

/** File types by the format bits of a mode, shifted by 12. @see inode(7) */
const TYPES: Readonly<Record<number, FileType>> = {
  0: FileType.file,
  1: FileType.fifo,
  2: FileType.charDevice,
  6: FileType.blockDevice,
  8: FileType.file,
  12: FileType.socket,
};
/** @see setxattr(2) */
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
/** Bytes copied by one request: what is answered in 32 bits, in whole blocks. */
const COPY_BYTES_MAX = 2n ** 31n;
const LOCK_TYPES = ['read', 'write', 'unlock'] as const;

async function create(...[operations, context, { header, body }]: Parameters<Handler<'create'>>) {
  const at = { parent: header.ino, name: body.name };
  const how = { flags: body.flags, mode: body.mode & 0o7777, umask: body.umask };
  const { entry, opened } = await changing(operations).create(context, at, how);
  const undo = () => {
    operations.forget(entry.ino, 1n);
    operations.release(opened.fh, { taken: false });
  };
  return { parts: [reply.encodeCreated(entry, opened)], undo };
}

async function mknod(...[operations, context, { header, body }]: Parameters<Handler<'mknod'>>) {
  const type = TYPES[body.mode >>> 12];
  if (type === undefined) throw new FsError('EINVAL', `${body.mode} is no mode of a node`);
  const { umask, rdev } = body;
  const at = { parent: header.ino, name: body.name };
  const node = { type, mode: body.mode & 0o7777, umask, rdev };
  return made(operations, await changing(operations).mknod(context, at, node));
}

async function mkdir(...[operations, context, { header, body }]: Parameters<Handler<'mkdir'>>) {
  const at = { parent: header.ino, name: body.name };
  const how = { mode: body.mode & 0o7777, umask: body.umask };
  return made(operations, await changing(operations).mkdir(context, at, how));
}

async function symlink(...[operations, context, { header, body }]: Parameters<Handler<'symlink'>>) {
  const at = { parent: header.ino, name: body.name };
  return made(operations, await changing(operations).symlink(context, at, body.target));
}

async function link(...[operations, context, { header, body }]: Parameters<Handler<'link'>>) {
  const at = { parent: header.ino, name: body.name };
  return made(operations, await changing(operations).link(context, body.ino, at));
}

async function unlink(...[operations, context, { header, body }]: Parameters<Handler<'unlink'>>) {
  await changing(operations).unlink(context, { parent: header.ino, name: body.name });
  return EMPTY_ANSWER;
}

async function rmdir(...[operations, context, { header, body }]: Parameters<Handler<'rmdir'>>) {
  await changing(operations).rmdir(context, { parent: header.ino, name: body.name });
  return EMPTY_ANSWER;
}

async function rename(
  ...[operations, context, { header, body }]: Parameters<Handler<'rename' | 'rename2'>>
) {
  const { newParent, flags, oldName, newName }: RenameBody = body;
  const from: NameIn = { parent: header.ino, name: oldName };
  await changing(operations).rename(context, from, { parent: newParent, name: newName }, flags);
  return EMPTY_ANSWER;
}

async function setattr(...[operations, context, { header, body }]: Parameters<Handler<'setattr'>>) {
  const found = await changing(operations).setattr(context, header.ino, body);
  return { parts: [reply.encodeAttr(header.ino, found)] };
}

async function setxattr(
  ...[operations, context, { header, body }]: Parameters<Handler<'setxattr'>>
) {
  const { flags, name, value } = body;
  const replaces = flags === XATTR_REPLACE ? 'replace' : 'any';
  const how = flags === XATTR_CREATE ? 'create' : replaces;
  await changing(operations).setxattr(context, header.ino, { name, value, how });
  return EMPTY_ANSWER;
}

async function removexattr(
  ...[operations, context, { header, body }]: Parameters<Handler<'removexattr'>>
) {
  await changing(operations).removexattr(context, header.ino, body.name);
  return EMPTY_ANSWER;
}

async function fallocate(
  ...[operations, context, { header, body }]: Parameters<Handler<'fallocate'>>
) {
  const { fh, offset, length, mode } = body;
  await changing(operations).fallocate(context, { ino: header.ino, fh, offset }, { mode, length });
  return EMPTY_ANSWER;
}

async function copyFileRange(
  ...[operations, context, request]: Parameters<Handler<'copyFileRange' | 'copyFileRange64'>>
) {
  const { body, header, name } = request;
  const from = { ino: header.ino, fh: body.fh, offset: body.offset };
  const to = { ino: body.toIno, fh: body.toFh, offset: body.toOffset };
  const length = body.length > COPY_BYTES_MAX ? COPY_BYTES_MAX : body.length;
  const copied = await changing(operations).copyFileRange(context, from, to, length);
  const encode = name === 'copyFileRange' ? reply.encodeWrite : reply.encodeCopied;
  return { parts: [encode(copied)] };
}

async function flush(...[operations, context, { header, body }]: Parameters<Handler<'flush'>>) {
  await changing(operations).flush(context, header.ino, body.fh, body.lockOwner);
  return EMPTY_ANSWER;
}

async function fsync(...[operations, context, { header, body }]: Parameters<Handler<'fsync'>>) {
  await changing(operations).fsync(context, header.ino, body.fh);
  return EMPTY_ANSWER;
}

async function fsyncdir(
  ...[operations, context, { header, body }]: Parameters<Handler<'fsyncdir'>>
) {
  await changing(operations).fsyncdir(context, header.ino, body.fh);
  return EMPTY_ANSWER;
}

async function getlk(...[operations, context, { header, body }]: Parameters<Handler<'getlk'>>) {
  const found = await changing(operations).getlk(context, header.ino, lockOf(body));
  const { start, end, type, pid } = found ?? { ...lockOf(body), type: 'unlock' as const };
  const lock = { start, end, type: LOCK_TYPES.indexOf(type), pid };
  return { parts: [reply.encodeLock(lock)] };
}

async function setlk(
  ...[operations, context, { name, header, body }]: Parameters<Handler<'setlk' | 'setlkw'>>
) {
  const options = { wait: name === 'setlkw' };
  const mutations = changing(operations);
  const lock = lockOf(body);
  if (body.isFlock) {
    const file = { ino: header.ino, fh: body.fh, owner: body.owner };
    await mutations.flock(context, file, lock.type, options);
  } else await mutations.setlk(context, header.ino, lock, options);
  return EMPTY_ANSWER;
}

function lockOf({ owner, start, end, type, pid }: LockBody): LockRequest {
  return { owner, start, end, type: LOCK_TYPES[type] ?? 'unlock', pid };
}

function made(operations: FuseFileSystem, entry: Parameters<typeof reply.encodeEntry>[0]): Answer {
  const { ino } = entry;
  const undo = ino === undefined ? undefined : () => operations.forget(ino, 1n);
  return { parts: [reply.encodeEntry(entry)], undo };
}

/** Requests that change something do not come here on a read-only mount. */
function changing({ mutations }: FuseFileSystem): FuseMutations {
  assert(mutations !== undefined, 'a change on a read-only mount');
  return mutations;
}

/** A handler for each request type that changes something. */
export const CHANGE_HANDLERS = {
  create,
  mknod,
  mkdir,
  symlink,
  link,
  unlink,
  rmdir,
  rename,
  rename2: rename,
  setattr,
  setxattr,
  removexattr,
  fallocate,
  copyFileRange,
  copyFileRange64: copyFileRange,
  flush,
  fsync,
  fsyncdir,
  getlk,
  setlk,
  setlkw: setlk,
} satisfies { [Name in OpcodeName]?: Handler<Name> };
