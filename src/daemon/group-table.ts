import Table from 'cli-table3';
import { byteText } from './byte-text.ts';
import type { GroupStatus, MemberStatus } from './group-report.ts';

/** Peer ids differ in their last letters. */
const NAME_LENGTH = 8;

const HEAD = [
  'member',
  'state',
  'zone',
  'weight',
  'share',
  'memory',
  'disk',
  'served',
  'from peers',
  'from origin',
  'hits mem/disk/peer/origin',
  'peer p95',
  'answer',
  'errors',
];

/** What is shown of a group beside its present state. */
export interface GroupTableOptions {
  /** An earlier state: bytes are then shown per second in between. */
  readonly before?: GroupStatus | undefined;
  /** Members shown at most; those that serve most first. */
  readonly rowsMax?: number | undefined;
}

/** A group for people. */
export function groupTable(status: GroupStatus, options: GroupTableOptions = {}): string {
  const { before, rowsMax = Number.POSITIVE_INFINITY } = options;
  const earlier = new Map(before?.members.map((member) => [member.node, member]));
  const seconds = before === undefined ? 0 : (status.timeMs - before.timeMs) / 1000;
  const rows = status.members.map((member) => ({
    member,
    rates: ratesOf(member, earlier.get(member.node), seconds),
  }));
  if (rows.length > rowsMax) rows.sort((a, b) => b.rates.served - a.rates.served);
  const table = new Table({ head: HEAD, style: { head: [], border: [], compact: true } });
  for (const { member, rates } of rows.slice(0, rowsMax)) {
    table.push(cellsOf(member, rates, seconds > 0 ? '/s' : ''));
  }
  const hidden = rows.length - Math.min(rows.length, rowsMax);
  const more = hidden === 0 ? [] : [`and ${hidden} more`];
  return [headline(status), table.toString(), ...drains(status), ...staged(status), ...more].join(
    '\n',
  );
}

function headline({ group, epoch, ring, agreed, members, time }: GroupStatus): string {
  const up = members.filter(({ state }) => state === 'up').length;
  const agreement = agreed ? 'all agree' : 'MEMBERS DISAGREE';
  const view = `epoch ${epoch}, ring ${ring} (${agreement})`;
  return `group ${group}: ${up} of ${members.length} members up, ${view}, ${time}`;
}

interface Rates {
  readonly served: number;
  readonly fromPeers: number;
  readonly fromOrigin: number;
}

/** Bytes since `before`, per second; or all bytes. A member that started anew begins at 0. */
function ratesOf(now: MemberStatus, before: MemberStatus | undefined, seconds: number): Rates {
  const isSame = before !== undefined && before.startedAt === now.startedAt;
  const rate = (name: 'servedBytes' | 'fetchedPeerBytes' | 'fetchedOriginBytes') => {
    const bytes = now.report?.[name] ?? 0;
    if (seconds <= 0) return bytes;
    return Math.max(0, bytes - (isSame ? (before.report?.[name] ?? bytes) : 0)) / seconds;
  };
  return {
    served: rate('servedBytes'),
    fromPeers: rate('fetchedPeerBytes'),
    fromOrigin: rate('fetchedOriginBytes'),
  };
}

function cellsOf(member: MemberStatus, rates: Rates, per: string): string[] {
  const { node, self, state, zone, weight, ringShare, report, answeredMs, error } = member;
  const name = `${node.slice(-NAME_LENGTH)}${self ? ' *' : ''}`;
  const place = [name, state, zone ?? '', String(weight), percent(ringShare)];
  if (report === null) return [...place, error ?? '', ...Array<string>(8).fill('')];
  const { hitRatio, drainState } = report;
  const hits = [hitRatio.memory, hitRatio.disk, hitRatio.peer, hitRatio.origin];
  const errors = [report.peerErrors, report.servedErrors, report.originErrors, report.fuseErrors];
  place[1] = drainState === 'off' ? state : `${state}, ${drainState}`;
  return [
    ...place,
    byteText(report.memoryBytes),
    byteText(report.diskBytes),
    byteText(Math.round(rates.served)) + per,
    byteText(Math.round(rates.fromPeers)) + per,
    byteText(Math.round(rates.fromOrigin)) + per,
    hits.map((ratio) => Math.round(ratio * 100)).join('/'),
    `${report.peerReadP95Ms.toFixed(1)} ms`,
    answeredMs === null ? '' : `${answeredMs.toFixed(1)} ms`,
    String(errors.reduce((sum, count) => sum + count, 0)),
  ];
}

/** A line about each member that hands over its blocks. */
function drains({ members }: GroupStatus): string[] {
  return members.flatMap(({ node, report }) => {
    if (report === null || report.drainState === 'off') return [];
    const { drainState, drainBytesDone, drainBytesLeft, drainBlocksFailed } = report;
    const moved = `${byteText(drainBytesDone)} handed over, ${byteText(drainBytesLeft)} left`;
    const failed = drainBlocksFailed === 0 ? '' : `, ${drainBlocksFailed} blocks without a taker`;
    return [`${node.slice(-NAME_LENGTH)} is ${drainState}: ${moved}${failed}`];
  });
}

/** A line about each member that has blocks to upload. */
function staged({ members }: GroupStatus): string[] {
  return members.flatMap(({ node, report }) => {
    if (report === null || report.stagedBlocks === 0) return [];
    const { stagedBlocks, stagedBytes } = report;
    const name = node.slice(-NAME_LENGTH);
    return [`${name} has ${stagedBlocks} staged blocks (${byteText(stagedBytes)}) to upload`];
  });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
