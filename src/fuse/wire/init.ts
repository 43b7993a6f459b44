import type { InitBody } from './bodies.ts';

/** Major version of the protocol. */
export const PROTOCOL_MAJOR = 7;
/** Oldest and newest minor versions whose layouts this codec has. */
export const PROTOCOL_MINOR_MIN = 31;
export const PROTOCOL_MINOR_MAX = 45;

/** INIT flags that matter here. @see linux/fuse.h */
export const InitFlag = {
  asyncRead: 1n << 0n,
  posixLocks: 1n << 1n,
  exportSupport: 1n << 4n,
  bigWrites: 1n << 5n,
  dontMask: 1n << 6n,
  flockLocks: 1n << 10n,
  autoInvalData: 1n << 12n,
  doReaddirplus: 1n << 13n,
  readdirplusAuto: 1n << 14n,
  parallelDirops: 1n << 18n,
  posixAcl: 1n << 20n,
  maxPages: 1n << 22n,
  cacheSymlinks: 1n << 23n,
  initExt: 1n << 30n,
  hasExpireOnly: 1n << 35n,
  passthrough: 1n << 37n,
} as const;

/** Bytes of `struct fuse_init_out`. */
const INIT_OUT_BYTES = 64;
const PAGE_BYTES = 4096;
/** Backing files may lie on a plain file system, not on a stacked one. @see fuse_init_out.max_stack_depth */
const STACK_DEPTH = 1;

/** What is asked for; the kernel may give less. */
export interface InitWishes {
  /** The volume has POSIX ACLs: the kernel reads and checks them. */
  readonly acl: boolean;
  /** Files can be locked by us; otherwise the kernel keeps locks by itself, for this mount alone. */
  readonly locks: boolean;
  /** Files may be read by the kernel itself from files of ours. */
  readonly passthrough: boolean;
  /** Largest request in bytes, a multiple of 4096 up to 1 MiB. */
  readonly maxRequestBytes: number;
  /** Largest WRITE in bytes; the read buffer must hold it and 4096 bytes more. */
  readonly maxWriteBytes: number;
  readonly maxReadaheadBytes: number;
  /** Requests in flight that nobody waits for. */
  readonly maxBackground: number;
}

/** The outcome of the handshake. */
export interface InitReply {
  readonly minor: number;
  readonly flags: bigint;
  readonly payload: Uint8Array;
}

/**
 * Picks what both sides can. AUTO_INVAL_DATA makes the kernel drop a file's pages when a fresh
 * attribute shows another mtime or size, also while the file is open.
 *
 * ASYNC_DIO (bit 15) is not asked for: with it a reader with O_DIRECT waits in the kernel without
 * being interruptible, so that it could not even be killed before its answer comes.
 *
 * @returns undefined when the kernel's protocol is too old
 */
export function negotiateInit(offer: InitBody, wishes: InitWishes): InitReply | undefined {
  if (offer.major < PROTOCOL_MAJOR) return undefined;
  if (offer.major === PROTOCOL_MAJOR && offer.minor < PROTOCOL_MINOR_MIN) return undefined;
  const minor =
    offer.major > PROTOCOL_MAJOR ? PROTOCOL_MINOR_MAX : Math.min(offer.minor, PROTOCOL_MINOR_MAX);
  const { posixAcl, dontMask, posixLocks, flockLocks, passthrough, ...always } = InitFlag;
  let wanted = Object.values(always).reduce((all, flag) => all | flag, 0n);
  if (wishes.acl) wanted |= posixAcl | dontMask;
  if (wishes.locks) wanted |= posixLocks | flockLocks;
  if (wishes.passthrough) wanted |= passthrough;
  const flags = wanted & offer.flags;
  return { minor, flags, payload: encodeInit(minor, flags, wishes) };
}

function encodeInit(minor: number, flags: bigint, wishes: InitWishes): Uint8Array {
  const payload = new Uint8Array(INIT_OUT_BYTES);
  const view = new DataView(payload.buffer);
  view.setUint32(0, PROTOCOL_MAJOR, true);
  view.setUint32(4, minor, true);
  view.setUint32(8, wishes.maxReadaheadBytes, true); // The kernel takes the lower of both.
  view.setUint32(12, Number(flags & 0xffff_ffffn), true);
  view.setUint16(16, wishes.maxBackground, true);
  view.setUint16(18, Math.floor((wishes.maxBackground * 3) / 4), true);
  view.setUint32(20, wishes.maxWriteBytes, true);
  view.setUint32(24, 1, true); // Granularity of times: 1 ns.
  view.setUint16(28, Math.ceil(wishes.maxRequestBytes / PAGE_BYTES), true);
  view.setUint32(32, Number(flags >> 32n), true);
  if ((flags & InitFlag.passthrough) !== 0n) view.setUint32(36, STACK_DEPTH, true);
  return payload;
}
