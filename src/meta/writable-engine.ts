import type { MetaEngine } from './engine.ts';
import type { MetaScans } from './write/scans.ts';
import type { MetaTransactions } from './write/transactions.ts';

/** An engine that can also change the volume. */
export interface WritableEngine extends MetaEngine {
  /** @throws MetaError `unavailable` before the engine is started */
  readonly transactions: MetaTransactions;
  /** @throws MetaError `unavailable` before the engine is started */
  readonly scans: MetaScans;
}
