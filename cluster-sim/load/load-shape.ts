/** Which blocks readers read: `job`: all nodes read everything, in orders of their own. */
export const PATTERNS = ['random', 'hot', 'sequential', 'job'] as const;

/** What is read while faults happen. */
export interface LoadShape {
  readonly readersPerNode: number;
  /** Of each reader. */
  readonly reads: number;
  /** Pause between two reads at most. */
  readonly thinkMs: number;
  readonly pattern: (typeof PATTERNS)[number];
  /** Share of reads of a part of a block, 0 … 1. */
  readonly partShare: number;
  /** Whether the next block is prefetched. */
  readonly readAhead: boolean;
  /** Whether one node warms up the whole volume at the beginning. */
  readonly warm: boolean;
}
