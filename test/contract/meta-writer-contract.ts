import { describe } from 'vitest';
import { attrsContract } from './meta-writer-attrs.ts';
import { cloneContract } from './meta-writer-clone.ts';
import { crowdContract } from './meta-writer-crowd.ts';
import { dataContract } from './meta-writer-data.ts';
import { limitsContract } from './meta-writer-limits.ts';
import { locksContract } from './meta-writer-locks.ts';
import { modelContract } from './meta-writer-model.ts';
import { namesContract } from './meta-writer-names.ts';
import { trashContract } from './meta-writer-trash.ts';
import { upkeepContract } from './meta-writer-upkeep.ts';
import type { MakeVolume } from './writer-bench.ts';

/** What every engine's writer promises. */
export function metaWriterContract(name: string, make: MakeVolume): void {
  describe(`${name} changes a volume`, () => {
    namesContract(make);
    attrsContract(make);
    dataContract(make);
    limitsContract(make);
    trashContract(make);
    cloneContract(make);
    locksContract(make);
    upkeepContract(make);
    crowdContract(make);
    modelContract(make);
  });
}
