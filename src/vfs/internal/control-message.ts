/**
 * Requests and answers of `.control`, JuiceFS's channel for tools. Everything is big-endian.
 *
 * A request is u32 command, u32 body length, body. An answer is a row of items: progress (0xFE, two
 * u64), data (0xFF, u32 length, bytes) or, as its end, a single byte with an error number.
 */

/** Commands. Numbers below 1002 are JuiceFS's own business. */
export const ControlCommand = {
  rmr: 1002,
  legacyInfo: 1003,
  fillCache: 1004,
  info: 1005,
  clone: 1006,
  summary: 1007,
  compact: 1008,
} as const;

/** What the bytes that were written so far are. */
export type ControlParse =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'broken' }
  | { readonly kind: 'request'; readonly command: number; readonly body: Uint8Array };

/** Body of {@link ControlCommand.fillCache}. */
export interface FillCacheBody {
  readonly paths: readonly string[];
  readonly threads: number;
  readonly background: boolean;
  /** 0 warm up, 1 evict, 2 check. */
  readonly action: number;
}

/** Body of {@link ControlCommand.info} and {@link ControlCommand.legacyInfo}. */
export interface InfoBody {
  readonly ino: bigint;
  readonly recursive: boolean;
  readonly raw: boolean;
}

/** Body of {@link ControlCommand.clone}. Inode numbers are the mount's. */
export interface CloneBody {
  readonly source: bigint;
  readonly sourceParent: bigint;
  readonly parent: bigint;
  readonly name: Uint8Array;
  readonly umask: number;
  readonly preserve: boolean;
}

const HEADER_BYTES = 8;
const PROGRESS = 0xfe;
const PROGRESS_BYTES = 17;
const DATA = 0xff;
/** Three inodes and the length of the name, which follows. */
const CLONE_HEAD_BYTES = 25;
const CLONE_PRESERVE = 2;

/** @param bytes - everything written since the last request */
export function parseControl(bytes: Uint8Array): ControlParse {
  if (bytes.byteLength < HEADER_BYTES) return { kind: 'incomplete' };
  const view = viewOf(bytes);
  const length = view.getUint32(4);
  const body = bytes.subarray(HEADER_BYTES);
  if (body.byteLength < length) return { kind: 'incomplete' };
  if (body.byteLength > length) return { kind: 'broken' };
  return { kind: 'request', command: view.getUint32(0), body };
}

/** @returns undefined when the body is no such message */
export function parseFillCache(body: Uint8Array): FillCacheBody | undefined {
  const view = viewOf(body);
  if (body.byteLength < 4) return undefined;
  const length = view.getUint32(0);
  const at = 4 + length;
  // The action came later than the rest; older tools leave it out.
  if (body.byteLength !== at + 3 && body.byteLength !== at + 4) return undefined;
  return {
    paths: Buffer.from(body.subarray(4, at)).toString('utf8').split('\n'),
    threads: view.getUint16(at),
    background: view.getUint8(at + 2) !== 0,
    action: body.byteLength > at + 3 ? view.getUint8(at + 3) : 0,
  };
}

/** @returns undefined when the body is no such message */
export function parseInfo(body: Uint8Array): InfoBody | undefined {
  if (body.byteLength < 8) return undefined;
  const view = viewOf(body);
  return {
    ino: view.getBigUint64(0),
    recursive: body.byteLength < 9 || view.getUint8(8) !== 0,
    raw: body.byteLength >= 10 && view.getUint8(9) !== 0,
  };
}

/** @returns undefined when the body is no such message */
export function parseClone(body: Uint8Array): CloneBody | undefined {
  if (body.byteLength < CLONE_HEAD_BYTES) return undefined;
  const view = viewOf(body);
  const at = CLONE_HEAD_BYTES + view.getUint8(CLONE_HEAD_BYTES - 1);
  // How many copies go side by side came later, and is for us to say.
  if (body.byteLength !== at + 3 && body.byteLength !== at + 4) return undefined;
  return {
    ...{ source: view.getBigUint64(0), sourceParent: view.getBigUint64(8) },
    ...{ parent: view.getBigUint64(16), name: body.slice(CLONE_HEAD_BYTES, at) },
    ...{ umask: view.getUint16(at), preserve: (view.getUint8(at + 2) & CLONE_PRESERVE) !== 0 },
  };
}

/** A request to clone. */
export function cloneRequest(clone: CloneBody): Uint8Array {
  const { source, sourceParent, parent, name, umask, preserve } = clone;
  const bodyBytes = CLONE_HEAD_BYTES + name.byteLength + 3;
  const request = new Uint8Array(HEADER_BYTES + bodyBytes);
  const view = viewOf(request);
  view.setUint32(0, ControlCommand.clone);
  view.setUint32(4, bodyBytes);
  [source, sourceParent, parent].forEach((ino, index) => {
    view.setBigUint64(HEADER_BYTES + 8 * index, ino);
  });
  const at = HEADER_BYTES + CLONE_HEAD_BYTES;
  view.setUint8(at - 1, name.byteLength);
  request.set(name, at);
  view.setUint16(at + name.byteLength, umask);
  view.setUint8(at + name.byteLength + 2, preserve ? CLONE_PRESERVE : 0);
  return request;
}

/** How far a job is; which numbers depends on the command. */
export function progressItem(first: number | bigint, second: number | bigint): Uint8Array {
  const item = new Uint8Array(PROGRESS_BYTES);
  const view = viewOf(item);
  view.setUint8(0, PROGRESS);
  view.setBigUint64(1, BigInt(first));
  view.setBigUint64(9, BigInt(second));
  return item;
}

/** An answer in JSON, which also ends it. */
export function dataItem(value: unknown): Uint8Array {
  const text = Buffer.from(goJson(value));
  const head = new Uint8Array(5);
  const view = viewOf(head);
  view.setUint8(0, DATA);
  view.setUint32(1, text.byteLength);
  return Buffer.concat([head, text]);
}

/** A part of an answer, as a tool gets it. */
export type ControlItem = { readonly sizeBytes: number } & (
  | { readonly kind: 'progress'; readonly first: bigint; readonly second: bigint }
  | { readonly kind: 'end'; readonly errno: number }
);

/**
 * The first item of an answer without data.
 *
 * @returns undefined when it is not all there
 */
export function nextItem(bytes: Uint8Array): ControlItem | undefined {
  const [kind] = bytes;
  if (kind === undefined) return undefined;
  if (kind !== PROGRESS) return { kind: 'end', errno: kind, sizeBytes: 1 };
  if (bytes.byteLength < PROGRESS_BYTES) return undefined;
  const view = viewOf(bytes);
  const [first, second] = [view.getBigUint64(1), view.getBigUint64(9)];
  return { kind: 'progress', first, second, sizeBytes: PROGRESS_BYTES };
}

/** The end of an answer. @param errno - 0 for success */
export function errnoItem(errno: number): Uint8Array {
  return Uint8Array.of(errno & 0xff);
}

/** The answer to a legacy info request: u32 length, text. */
export function textItem(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  const head = new Uint8Array(4);
  viewOf(head).setUint32(0, bytes.byteLength);
  return Buffer.concat([head, bytes]);
}

/** JSON whose bigints keep all their digits, as numbers: Go reads 64-bit integers exactly. */
export function goJson(value: unknown, space?: number): string {
  const json = JSON as unknown as { rawJSON(text: string): unknown };
  const exact = (_key: string, each: unknown) =>
    typeof each === 'bigint' ? json.rawJSON(each.toString()) : each;
  return JSON.stringify(value, exact, space);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
