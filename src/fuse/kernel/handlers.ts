import { type ErrnoName, FsError } from '../../posix/errno.ts';
import { O_ACCMODE, O_CREATION_FLAGS, O_TRUNC } from '../../posix/open-flags.ts';
import type { FuseFileSystem } from '../file-system.ts';
import type { FuseContext } from '../operations.ts';
import { DirectoryPage } from '../wire/directory-page.ts';
import * as reply from '../wire/replies.ts';
import type { OpcodeName } from '../wire/opcodes.ts';
import type { RequestOf } from '../wire/request.ts';
import type { Answer } from './answer.ts';
import { EMPTY_ANSWER } from './answer.ts';
import { CHANGE_HANDLERS } from './change-handlers.ts';
import assert from 'node:assert/strict';

/** Largest answer that the kernel asks for: `max_pages` pages. */
export const ANSWER_BYTES_MAX = 1024 * 1024;

/** @see lseek(2) */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Answers one type of request. Throws FsError; anything else is a bug. */
type Handler<Name extends OpcodeName> = (
  operations: FuseFileSystem,
  context: FuseContext,
  request: RequestOf<Name>,
) => Promise<Answer>;

async function lookup(...[operations, context, { header, body }]: Parameters<Handler<'lookup'>>) {
  const found = await operations.lookup(context, header.ino, body.name);
  const { ino } = found;
  const undo = ino === undefined ? undefined : () => operations.forget(ino, 1n);
  return { parts: [reply.encodeEntry(found)], undo };
}

async function getattr(...[operations, context, { header }]: Parameters<Handler<'getattr'>>) {
  const found = await operations.getattr(context, header.ino);
  return { parts: [reply.encodeAttr(header.ino, found)] };
}

async function readlink(...[operations, context, { header }]: Parameters<Handler<'readlink'>>) {
  return { parts: [await operations.readlink(context, header.ino)] };
}

async function open(...[operations, context, { header, body }]: Parameters<Handler<'open'>>) {
  const writes = (body.flags & O_ACCMODE) !== 0 || (body.flags & O_TRUNC) !== 0;
  const isReadOnly = operations.mutations === undefined;
  if (isReadOnly && writes && !operations.isWritable(header.ino)) throw new FsError('EROFS');
  const opened = await operations.open(context, header.ino, body.flags & ~O_CREATION_FLAGS);
  // Where files are locked FLUSH is what gives fcntl locks back, also those of readers.
  return {
    parts: [reply.encodeOpen(opened, isReadOnly)],
    undo: () => operations.release(opened.fh, { taken: false }),
  };
}

async function read(...[operations, context, { header, body }]: Parameters<Handler<'read'>>) {
  const range = { offset: toOffset(body.offset), length: body.size };
  if (range.length > ANSWER_BYTES_MAX) throw new FsError('EINVAL');
  const { parts, release } = await operations
    .read(context, header.ino, body.fh, range)
    .then((found) => ({ parts: found.parts, release: () => found.release() }));
  const total = parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (total > range.length) {
    release();
    assert.fail(`a read of ${range.length} bytes was answered with ${total}`);
  }
  return { parts, release };
}

async function write(...[operations, context, { header, body }]: Parameters<Handler<'write'>>) {
  const { bytes, isCache, flags } = body;
  const data = { offset: toOffset(body.offset, 'EFBIG'), bytes, isCache, flags };
  const taken = await operations.write(context, header.ino, body.fh, data);
  return { parts: [reply.encodeWrite(taken)] };
}

async function release(...[operations, , { header, body }]: Parameters<Handler<'release'>>) {
  const { fh, lockOwner, unlocksFlock } = body;
  if (unlocksFlock) operations.mutations?.releaseFlock(header.ino, fh, lockOwner);
  operations.release(fh);
  return EMPTY_ANSWER;
}

async function opendir(...[operations, context, { header }]: Parameters<Handler<'opendir'>>) {
  const opened = await operations.opendir(context, header.ino);
  return {
    parts: [reply.encodeOpen(opened, false)],
    undo: () => operations.releasedir(opened.fh),
  };
}

async function list(
  ...[operations, context, { name, header, body }]: Parameters<Handler<'readdir' | 'readdirplus'>>
) {
  const plus = name === 'readdirplus';
  const page = new DirectoryPage(Math.min(body.size, ANSWER_BYTES_MAX), plus);
  const options = { offset: body.offset, plus };
  const add = page.add.bind(page);
  const undo = () => page.lookedUp.forEach((ino) => operations.forget(ino, 1n));
  try {
    await operations.readdir(context, header.ino, body.fh, options, add);
    if (page.isTooSmall) throw new FsError('EINVAL');
  } catch (error) {
    undo();
    throw error;
  }
  return { parts: [page.payload], undo };
}

async function releasedir(...[operations, , { body }]: Parameters<Handler<'releasedir'>>) {
  operations.releasedir(body.fh);
  return EMPTY_ANSWER;
}

async function statfs(...[operations, context, { header }]: Parameters<Handler<'statfs'>>) {
  return { parts: [reply.encodeStatfs(await operations.statfs(context, header.ino))] };
}

async function getxattr(
  ...[operations, context, { header, body }]: Parameters<Handler<'getxattr'>>
) {
  return sized(await operations.getxattr(context, header.ino, body.name), body.size);
}

async function listxattr(
  ...[operations, context, { header, body }]: Parameters<Handler<'listxattr'>>
) {
  const names = await operations.listxattr(context, header.ino);
  return sized(reply.encodeXattrNames(names), body.size);
}

async function lseek(...[operations, context, { header, body }]: Parameters<Handler<'lseek'>>) {
  const offset = toOffset(body.offset, 'ENXIO');
  if (body.whence !== SEEK_DATA && body.whence !== SEEK_HOLE) throw new FsError('EINVAL');
  const whence = body.whence === SEEK_DATA ? 'data' : 'hole';
  const found = await operations.lseek(context, header.ino, body.fh, { offset, whence });
  return { parts: [reply.encodeLseek(found)] };
}

/** The size that the kernel offers is 0 when it only wants to know how large the value is. */
function sized(value: Uint8Array, sizeBytes: number): Answer {
  if (sizeBytes === 0) return { parts: [reply.encodeXattrSize(value.byteLength)] };
  if (value.byteLength > sizeBytes) throw new FsError('ERANGE');
  return { parts: [value] };
}

/** FuseOperations counts in numbers, which are exact up to 2^53. @param code - of what is beyond */
function toOffset(offset: bigint, code: ErrnoName = 'EOVERFLOW'): number {
  if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new FsError(code);
  return Number(offset);
}

/** A handler for each request type that a file system answers. */
const HANDLERS = {
  ...CHANGE_HANDLERS,
  lookup,
  getattr,
  readlink,
  open,
  read,
  write,
  release,
  opendir,
  readdir: list,
  readdirplus: list,
  releasedir,
  statfs,
  getxattr,
  listxattr,
  lseek,
} satisfies { [Name in OpcodeName]?: Handler<Name> };

/** A request type that {@link HANDLERS} answers. */
export type HandledName = keyof typeof HANDLERS;

/** Calls the handler of the request's type. */
export function answerRequest(
  operations: FuseFileSystem,
  context: FuseContext,
  request: RequestOf<HandledName>,
): Promise<Answer> {
  const handler = HANDLERS[request.name] as Handler<HandledName>;
  return handler(operations, context, request);
}

/** Whether the request is one that {@link answerRequest} answers. */
export function isHandled(name: OpcodeName): name is HandledName {
  return Object.hasOwn(HANDLERS, name);
}
