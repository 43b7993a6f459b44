import type { StrangerReport } from '../faults/stranger.ts';
import type { Violation } from './violation.ts';

/** A proof's answer and refusals are all that a stranger hears: four talks, below 200 bytes each. */
const HEARD_BYTES_MAX = 800;

/** Strangers were told nothing but that they are strangers. */
export function checkStrangers(reports: readonly StrangerReport[]): Violation[] {
  return reports.flatMap(({ node, received }) => {
    const heardBytes = received.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (heardBytes <= HEARD_BYTES_MAX) return [];
    const text = `node ${node} sent ${heardBytes} bytes to somebody without the secret`;
    return [{ check: 'strangers read nothing', text }];
  });
}
