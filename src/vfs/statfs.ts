import type { StatfsReply } from '../fuse/operations.ts';
import type { DirQuota, MetaReader, VolumeUsage } from '../meta/engine.ts';
import type { VolumeSetting } from '../meta/setting.ts';
import { type Ino, ROOT_INO } from '../posix/ino.ts';
import type { Clock } from '../runtime/clock.ts';
import { DeadlineError, withDeadline } from '../runtime/deadline.ts';
import { NAME_BYTES_MAX } from './nodes.ts';

const BLOCK_BYTES = 4096n;
/** What an unlimited volume claims to have at first. */
const CAPACITY_BYTES = 1n << 50n;
const INODES_FREE = 10n << 20n;
/** The counters are asked for this long; then what was known last is good enough. */
const USAGE_TIMEOUT_MS = 150;
/** Directories visited on the way up; a longer way is a loop in the metadata. */
const DEPTH_MAX = 4096;

/** Space and inodes, of the volume or within the limits of directories. */
interface Room {
  readonly totalBytes: bigint;
  readonly freeBytes: bigint;
  readonly usedInodes: bigint;
  readonly freeInodes: bigint;
}

/** How much is used and left, as JuiceFS counts it. */
export class Statfs {
  readonly #meta: MetaReader;
  readonly #setting: VolumeSetting;
  readonly #clock: Clock;
  #lastUsage: VolumeUsage | undefined;

  constructor(meta: MetaReader, setting: VolumeSetting, clock: Clock) {
    this.#meta = meta;
    this.#setting = setting;
    this.#clock = clock;
  }

  /**
   * @param ino - where to begin looking for directory quotas
   * @throws what the engine throws
   */
  async of(ino: Ino, signal: AbortSignal): Promise<StatfsReply> {
    let room = roomOf(this.#setting, await this.#usage(signal));
    if (this.#setting.dirStats) room = within(room, await this.#quotas(ino, signal));
    const blocks = room.totalBytes / BLOCK_BYTES;
    return {
      blockBytes: Number(BLOCK_BYTES),
      blocks: blocks > 0n ? blocks : 1n,
      blocksFree: room.freeBytes / BLOCK_BYTES,
      files: room.usedInodes + room.freeInodes,
      filesFree: room.freeInodes,
      nameBytesMax: NAME_BYTES_MAX,
    };
  }

  async #usage(signal: AbortSignal): Promise<VolumeUsage> {
    const last = this.#lastUsage;
    if (last === undefined) {
      this.#lastUsage = await this.#meta.usage(signal);
      return this.#lastUsage;
    }
    const wait = { what: 'counters of the volume', timeoutMs: USAGE_TIMEOUT_MS, signal };
    try {
      this.#lastUsage = await withDeadline(this.#clock, wait, (timed) => this.#meta.usage(timed));
      return this.#lastUsage;
    } catch (error) {
      if (error instanceof DeadlineError) return last;
      throw error;
    }
  }

  /** The quotas from `ino` up to the volume's root, the nearest first. */
  async #quotas(ino: Ino, signal: AbortSignal): Promise<DirQuota[]> {
    const quotas: DirQuota[] = [];
    let next: Ino | undefined = ino;
    for (let depth = 0; next !== undefined && depth < DEPTH_MAX; depth += 1) {
      // Step by step: the parent is known only from the child.
      const [quota, parent]: [DirQuota | undefined, Ino | undefined] = await Promise.all([
        this.#meta.dirQuota(next, signal),
        this.#parentOf(next, signal),
      ]);
      if (quota !== undefined) quotas.push(quota);
      next = parent;
    }
    return quotas;
  }

  async #parentOf(ino: Ino, signal: AbortSignal): Promise<Ino | undefined> {
    if (ino === ROOT_INO) return undefined;
    const attr = await this.#meta.getattr(ino, signal);
    if (attr === undefined) return undefined;
    return attr.parent === 0n ? (await this.#meta.parents(ino, signal))[0] : attr.parent;
  }
}

/** The volume's own numbers. */
function roomOf(setting: VolumeSetting, usage: VolumeUsage): Room {
  const used = atLeastZero(usage.usedBytes);
  const usedInodes = atLeastZero(usage.inodes);
  let totalBytes = larger(setting.capacityBytes, used);
  if (setting.capacityBytes <= 0n) {
    totalBytes = CAPACITY_BYTES;
    while (totalBytes * 8n < used * 10n) totalBytes *= 2n;
  }
  let freeInodes = atLeastZero(setting.inodesMax - usedInodes);
  if (setting.inodesMax <= 0n) {
    freeInodes = INODES_FREE;
    while (usedInodes > freeInodes * 4n) freeInodes *= 2n;
  }
  return { totalBytes, freeBytes: totalBytes - used, usedInodes, freeInodes };
}

/** The smallest limit counts; what is used is what the nearest quota says. */
function within(room: Room, quotas: readonly DirQuota[]): Room {
  const nearest = quotas[0];
  if (nearest === undefined) return room;
  let { freeBytes, freeInodes } = room;
  for (const quota of quotas) {
    if (quota.maxBytes > 0n)
      freeBytes = smaller(freeBytes, leftOf(quota.maxBytes, quota.usedBytes));
    if (quota.maxInodes > 0n) {
      freeInodes = smaller(freeInodes, leftOf(quota.maxInodes, quota.usedInodes));
    }
  }
  return {
    totalBytes: atLeastZero(nearest.usedBytes) + freeBytes,
    freeBytes,
    usedInodes: atLeastZero(nearest.usedInodes),
    freeInodes,
  };
}

function leftOf(max: bigint, used: bigint): bigint {
  return atLeastZero(max - atLeastZero(used));
}

function atLeastZero(value: bigint): bigint {
  return value < 0n ? 0n : value;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
