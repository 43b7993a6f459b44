import type { NodeId } from '../block/node-id.ts';
import type { MemberRecord } from '../peer/gossip/member-record.ts';
import type { MemberReport } from '../peer/member-report.ts';
import type { Clock } from '../runtime/clock.ts';
import { isoTime } from '../runtime/iso-time.ts';
import type { CacheGroup } from './group.ts';

/** A member that does not answer within this is shown without numbers. */
const MEMBER_TIMEOUT_MS = 1_000;
/** For the whole group; members that were not asked by then are shown without numbers, too. */
const GROUP_TIMEOUT_MS = 5_000;
const ASKED_AT_ONCE = 32;

/** A member in `cachemesh status --json` and `top --json`. */
export interface MemberStatus {
  readonly node: NodeId;
  /** Whether it is the node that was asked. */
  readonly self: boolean;
  /** As the node that was asked sees it; `dead` and `left` ones are shown for some minutes. */
  readonly state: 'up' | 'suspected' | 'dead' | 'left';
  readonly zone: string | null;
  readonly version: string | null;
  readonly startedAt: string | null;
  readonly addresses: readonly string[];
  readonly weight: number;
  /** Of all blocks, 0 … 1, measured on 8,192 keys. */
  readonly ringShare: number;
  /** How long its answer took; null when none came. */
  readonly answeredMs: number | null;
  /** Why none came. */
  readonly error: string | null;
  /** What it says of itself; null when no answer came. */
  readonly report: (MemberReport & { readonly hitRatio: HitRatio }) | null;
}

/** Of the bytes read, by readers and peers, what share came from where. All 0 before the first read. */
export interface HitRatio {
  readonly memory: number;
  readonly disk: number;
  readonly peer: number;
  readonly origin: number;
}

/** What `cachemesh status MOUNTPOINT --json` prints, and `top --json` once per line. */
export interface GroupStatus {
  readonly time: string;
  /** The same, in milliseconds since 1970. */
  readonly timeMs: number;
  readonly group: string;
  readonly node: NodeId;
  /** Number of the node's view. */
  readonly epoch: number;
  /** Names its ring. */
  readonly ring: string;
  /** Whether all that answered have the same ring. */
  readonly agreed: boolean;
  readonly members: readonly MemberStatus[];
}

/** What a report of the group needs. */
export interface GroupReportParts {
  readonly name: string;
  readonly group: CacheGroup;
  readonly own: () => Promise<MemberReport>;
  readonly clock: Clock;
}

type Answer = Pick<MemberStatus, 'answeredMs' | 'error' | 'report'>;

/** Asks all members that are up how they are doing. Who does not answer delays nobody for long. */
export async function groupStatus(
  parts: GroupReportParts,
  signal: AbortSignal,
): Promise<GroupStatus> {
  const { group, name, clock } = parts;
  const { epoch } = group.membership.current();
  const ring = group.ring.fingerprint;
  const records = [...group.membership.roster()].sort((a, b) =>
    a.member.nodeId < b.member.nodeId ? -1 : 1,
  );
  const answers = await askAll(records, parts, signal);
  const members = records.map((record) => statusOf(record, group, answers));
  const rings = members.flatMap(({ report }) => (report === null ? [] : [report.ring]));
  const timeMs = clock.wallMs();
  return {
    time: isoTime(timeMs),
    timeMs,
    group: name,
    node: group.host.nodeId,
    epoch,
    ring,
    agreed: rings.every((each) => each === ring),
    members,
  };
}

async function askAll(
  records: readonly MemberRecord[],
  parts: GroupReportParts,
  signal: AbortSignal,
): Promise<ReadonlyMap<NodeId, Answer>> {
  const { group, clock } = parts;
  const answers = new Map<NodeId, Answer>();
  const untilMs = clock.nowMs() + GROUP_TIMEOUT_MS;
  const asked = records.filter(({ member }) => group.membership.stateOf(member.nodeId) === 'up');
  const queue = asked.values();
  const work = async () => {
    for (const { member } of queue) {
      if (signal.aborted || clock.nowMs() >= untilMs) return;
      answers.set(member.nodeId, await ask(member.nodeId, parts, signal));
    }
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, work));
  return answers;
}

/** Never rejects. */
async function ask(node: NodeId, parts: GroupReportParts, signal: AbortSignal): Promise<Answer> {
  const { group, own, clock } = parts;
  const startedMs = clock.nowMs();
  try {
    const isOwn = node === group.host.nodeId;
    const options = { timeoutMs: MEMBER_TIMEOUT_MS, signal };
    const report = isOwn ? await own() : await group.host.reports.ask(node, options);
    const answeredMs = Math.round((clock.nowMs() - startedMs) * 10) / 10;
    return { answeredMs, error: null, report: { ...report, hitRatio: hitRatioOf(report) } };
  } catch (error) {
    // It may hold what the member said, and is shown on terminals.
    const text = String(error instanceof Error ? error.message : error).replaceAll(/\p{C}/gu, ' ');
    return { answeredMs: null, error: text, report: null };
  }
}

function statusOf(
  { member, state }: MemberRecord,
  { membership, host, ring }: CacheGroup,
  answers: ReadonlyMap<NodeId, Answer>,
): MemberStatus {
  const { nodeId, zone, version, startedAtMs, addresses, weight } = member;
  const seen = membership.stateOf(nodeId);
  const isGone = state === 'dead' || state === 'left';
  const none: Answer = { answeredMs: null, error: isGone ? null : 'was not asked', report: null };
  return {
    node: nodeId,
    self: nodeId === host.nodeId,
    state: isGone ? state : seen === 'up' ? 'up' : 'suspected',
    zone: zone ?? null,
    version: version ?? null,
    startedAt: startedAtMs === undefined ? null : isoTime(startedAtMs),
    addresses,
    weight,
    ringShare: isGone ? 0 : (ring.shares.get(nodeId) ?? 0),
    ...(answers.get(nodeId) ?? none),
  };
}

function hitRatioOf(report: MemberReport): HitRatio {
  const { readMemoryBytes, readDiskBytes, readPeerBytes, readOriginBytes } = report;
  const all = readMemoryBytes + readDiskBytes + readPeerBytes + readOriginBytes;
  const ratio = (bytes: number) => (all === 0 ? 0 : bytes / all);
  return {
    memory: ratio(readMemoryBytes),
    disk: ratio(readDiskBytes),
    peer: ratio(readPeerBytes),
    origin: ratio(readOriginBytes),
  };
}
