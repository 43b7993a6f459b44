import type { StrangerReport } from '../faults/stranger.ts';
import type { Violation } from './violation.ts';

/** A proof's answer and refusals are all that a stranger hears: below 200 bytes in each attempt. */
const HEARD_BYTES_MAX = 200;
/** Of a block, so many bytes in a row are no chance. */
const TELLING_BYTES = 8;

/** Strangers were told nothing but that they are strangers, and none of what they asked for. */
export function checkStrangers(reports: readonly StrangerReport[]): Violation[] {
  return reports.flatMap(({ node, wanted, heard }) =>
    heard.flatMap((chunks) => {
      const all = Buffer.concat(chunks);
      const start = wanted.subarray(0, TELLING_BYTES);
      const isRead = start.byteLength === TELLING_BYTES && all.includes(Buffer.from(start));
      if (!isRead && all.byteLength <= HEARD_BYTES_MAX) return [];
      const what = isRead ? 'bytes of a block' : `${all.byteLength} bytes`;
      const text = `node ${node} sent ${what} to somebody without the secret`;
      return [{ check: 'strangers read nothing', text }];
    }),
  );
}
