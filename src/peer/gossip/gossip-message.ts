import { type NodeId, toNodeId } from '../../block/node-id.ts';
import { type Member, PeerError } from '../block-exchange.ts';
import type { WireRecord } from '../checked-msgpack.ts';
import { isMultiaddr } from '../dialable-addresses.ts';
import { isIntegerIn } from '../frame-codec.ts';
import {
  INCARNATION_MAX,
  MEMBER_STATES,
  type MemberRecord,
  type RecordHash,
} from './member-record.ts';
import { BUCKETS } from './member-table.ts';

/** Records in one message at most, and their bytes: it has to fit into a header of 64 KiB. */
const RECORDS_MAX = 512;
const RECORDS_BYTES_MAX = 48 * 1024;
/** Addresses of a member that are told to others. */
export const TOLD_ADDRESSES_MAX = 8;
const NODE_ID_LENGTH_MAX = 100;
/** Characters of a zone or a version. */
export const LABEL_LENGTH_MAX = 64;
/** Far beyond any real ratio, and safe in sums. */
const WEIGHT_MAX = 1e6;
/** Longest time that a member may be asked to try another one for. */
const PROBE_MS_MAX = 2_000;
const UINT32_MAX = 0xffffffff;
/** Highest number of a view that is told. */
export const EPOCH_MAX = 2 ** 52;

/** What members tell each other, in questions and answers alike. */
export interface GossipMessage {
  /** Who speaks. */
  readonly self: MemberRecord;
  /** News, corrections, and what {@link wants} asked for. */
  readonly records: readonly MemberRecord[];
  /** Of the speaker's table, before it hears the answer. */
  readonly hash: RecordHash;
  /** Number of the speaker's view. */
  readonly epoch: number;
  /** In a question: the hash of each bucket, to be answered with the records of those that differ. */
  readonly wants: Uint32Array | undefined;
  /** In an answer to that: the buckets of which `records` has all. */
  readonly covers: readonly number[];
}

/** Asks a member whether it can reach another one. */
export interface ProbeQuestion {
  readonly target: NodeId;
  readonly timeoutMs: number;
}

/** The fields of a message. */
export function encodeGossip(message: GossipMessage): WireRecord {
  const { self, records, hash, epoch, wants, covers } = message;
  return {
    self: encodeRecord(self),
    records: records.map(encodeRecord),
    hash: [hash.low, hash.high],
    epoch,
    wants: wants === undefined ? undefined : encodeHashes(wants),
    covers: covers.length === 0 ? undefined : covers,
  };
}

/**
 * Reads a message. Fields that are not known are ignored.
 *
 * @throws PeerError (`protocol`)
 */
export function parseGossip(fields: WireRecord): GossipMessage {
  const { self, records, hash, epoch, wants, covers } = fields;
  if (!Array.isArray(records) || records.length > RECORDS_MAX) throw malformed('records');
  const [low, high]: readonly unknown[] = Array.isArray(hash) ? hash : [];
  if (!isIntegerIn(low, 0, UINT32_MAX) || !isIntegerIn(high, 0, UINT32_MAX)) {
    throw malformed('hash');
  }
  if (!isIntegerIn(epoch, 0, EPOCH_MAX)) throw malformed('epoch');
  return {
    self: parseRecord(self),
    records: records.map(parseRecord),
    hash: { low, high },
    epoch,
    wants: wants === undefined ? undefined : parseHashes(wants),
    covers: covers === undefined ? [] : parseBuckets(covers),
  };
}

/** Collects records for one message, as many as fit. */
export class RecordRoom {
  readonly records: MemberRecord[] = [];
  #sizeBytes = 0;

  /** Puts records in, in their order. @returns whether all of them fit */
  add(records: readonly MemberRecord[]): boolean {
    for (const record of records) {
      const sizeBytes = this.#sizeBytes + bytesOf(record);
      if (this.records.length === RECORDS_MAX || sizeBytes > RECORDS_BYTES_MAX) return false;
      this.#sizeBytes = sizeBytes;
      this.records.push(record);
    }
    return true;
  }
}

/** @throws PeerError (`protocol`) */
export function parseProbe({ target, timeoutMs }: WireRecord): ProbeQuestion {
  if (!isNodeId(target) || !isIntegerIn(timeoutMs, 1, PROBE_MS_MAX)) throw malformed('probe');
  return { target: toNodeId(target), timeoutMs };
}

function bytesOf({ member }: MemberRecord): number {
  const { nodeId, addresses, zone = '', version = '' } = member;
  const words = [nodeId, zone, version, ...addresses];
  // Three bytes stand before a word, and the numbers take 40 together; labels may be of any script.
  return words.reduce(
    (sum, word) => sum + 3 + word.length,
    40 + 3 * (zone.length + version.length),
  );
}

function encodeRecord({ member, incarnation, state }: MemberRecord): readonly unknown[] {
  const { nodeId, addresses, weight, zone, version, startedAtMs } = member;
  const place = MEMBER_STATES.indexOf(state);
  // A list: names of fields would take more bytes than what they hold.
  const labels = [zone ?? null, version ?? null, startedAtMs ?? null];
  return [nodeId, incarnation, place, weight, addresses, ...labels];
}

function parseRecord(value: unknown): MemberRecord {
  if (!Array.isArray(value)) throw malformed('member');
  const [nodeId, incarnation, place, weight, addresses, zone, version, startedAtMs] =
    value as readonly unknown[];
  if (!isNodeId(nodeId)) throw malformed('node');
  if (!isIntegerIn(incarnation, 0, INCARNATION_MAX)) throw malformed('incarnation');
  const state = isIntegerIn(place, 0, MEMBER_STATES.length - 1) ? MEMBER_STATES[place] : undefined;
  if (state === undefined) throw malformed('state');
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= WEIGHT_MAX)) {
    throw malformed('weight');
  }
  const member: Member = {
    nodeId: toNodeId(nodeId),
    addresses: parseAddresses(addresses),
    weight,
    zone: parseLabel(zone),
    version: parseLabel(version),
    startedAtMs: parseTime(startedAtMs),
  };
  return { member, incarnation, state };
}

function isNodeId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= NODE_ID_LENGTH_MAX;
}

function parseAddresses(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > TOLD_ADDRESSES_MAX) throw malformed('addresses');
  if (!value.every(isMultiaddr)) throw malformed('addresses');
  return value as string[];
}

function parseLabel(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  // They are shown on terminals, where a control character could do anything.
  const isFine = typeof value === 'string' && value.length <= LABEL_LENGTH_MAX;
  if (!isFine || /\p{C}/u.test(value)) throw malformed('label');
  return value;
}

function parseTime(value: unknown): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (!isIntegerIn(value, 0, INCARNATION_MAX)) throw malformed('time');
  return value;
}

function parseBuckets(value: unknown): readonly number[] {
  if (!Array.isArray(value) || value.length > BUCKETS) throw malformed('buckets');
  if (!value.every((bucket) => isIntegerIn(bucket, 0, BUCKETS - 1))) throw malformed('buckets');
  return value as number[];
}

function encodeHashes(hashes: Uint32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * BUCKETS));
  hashes.forEach((hash, bucket) => view.setUint32(4 * bucket, hash));
  return new Uint8Array(view.buffer);
}

function parseHashes(value: unknown): Uint32Array {
  if (!(value instanceof Uint8Array) || value.byteLength !== 4 * BUCKETS) throw malformed('wants');
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  return Uint32Array.from({ length: BUCKETS }, (_, bucket) => view.getUint32(4 * bucket));
}

function malformed(what: string): PeerError {
  return new PeerError('protocol', `a message about members with wrong fields: ${what}`);
}
