import { PeerError } from './block-exchange.ts';
import type { WireRecord } from './checked-msgpack.ts';

/** Numbers of a report; all are sums since the start, or how things stand. Bytes and blocks. */
export const REPORT_NUMBERS = [
  'epoch',
  'members',
  'memoryBlocks',
  'memoryBytes',
  'memoryCapacityBytes',
  'diskBlocks',
  'diskBytes',
  'diskCapacityBytes',
  'servedBlocks',
  'servedBytes',
  'fetchedPeerBytes',
  'fetchedOriginBytes',
  'readMemoryBytes',
  'readDiskBytes',
  'readPeerBytes',
  'readOriginBytes',
  'peerReads',
  'peerReadMeanMs',
  'peerReadP95Ms',
  'peerErrors',
  'servedErrors',
  'originErrors',
  'fuseErrors',
  'stagedBlocks',
  'stagedBytes',
  'drainBlocksDone',
  'drainBytesDone',
  'drainBlocksLeft',
  'drainBytesLeft',
  'drainBlocksFailed',
] as const;

/** How a member is doing, as it says itself. */
export type MemberReport = Readonly<Record<(typeof REPORT_NUMBERS)[number], number>> & {
  /** Names its ring: members with the same see the same owners. */
  readonly ring: string;
  readonly drainState: 'off' | 'draining' | 'empty';
};

const DRAIN_STATES: ReadonlySet<unknown> = new Set(['off', 'draining', 'empty']);
const RING_LENGTH_MAX = 32;

/** The fields of a report. */
export function encodeReport(report: MemberReport): WireRecord {
  return { report };
}

/**
 * Reads a report. A number that is missing is 0: a member of another release may not know it.
 *
 * @throws PeerError (`protocol`)
 */
export function parseReport({ report }: WireRecord): MemberReport {
  if (typeof report !== 'object' || report === null) throw malformed('report');
  const fields = report as WireRecord;
  const numbers = REPORT_NUMBERS.map((name) => {
    const value = fields[name] ?? 0;
    if (typeof value !== 'number' || !(value >= 0 && value <= Number.MAX_VALUE)) {
      throw malformed(name);
    }
    return [name, value] as const;
  });
  const { ring = '', drainState = 'off' } = fields;
  if (typeof ring !== 'string' || ring.length > RING_LENGTH_MAX) throw malformed('ring');
  if (!DRAIN_STATES.has(drainState)) throw malformed('drainState');
  return { ...Object.fromEntries(numbers), ring, drainState } as MemberReport;
}

function malformed(what: string): PeerError {
  return new PeerError('protocol', `a report with wrong fields: ${what}`);
}
