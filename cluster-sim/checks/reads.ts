import type { ReadLog } from '../load/read-log.ts';
import type { CheckLimits } from '../scenario/scenario.ts';
import type { Violation } from './violation.ts';

/** Every read gave the right bytes, no error, and was fast enough. */
export function checkReads(log: ReadLog, { stallMsMax }: CheckLimits): Violation[] {
  const violations: Violation[] = log.bad.map(({ node, block, startMs, outcome }) => {
    const where = `block ${block} on node ${node} at ${startMs.toFixed(0)} ms`;
    return outcome === 'wrong'
      ? { check: 'right bytes', text: `${where}: other bytes than the source has` }
      : { check: 'no errors', text: `${where}: ${String(outcome)}` };
  });
  const { longest } = log;
  if (longest !== undefined && longest.tookMs > stallMsMax) {
    const { node, block, tookMs, startMs } = longest;
    const text = `block ${block} on node ${node} at ${startMs.toFixed(0)} ms took ${tookMs.toFixed(0)} ms, limit ${stallMsMax}`;
    violations.push({ check: 'no long stalls', text });
  }
  return violations;
}
