import { expect, test } from 'vitest';
import { runProcesses } from '../../cluster-sim/processes/run-processes.ts';
import { loadScenario } from '../../cluster-sim/scenario/scenario-files.ts';

const NAME = 'fast/everything-at-once';
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';

// How long reads wait is measured by `npm run sim:processes`: here other programs use the machine.
test.skipIf(!isRoot)(
  `real daemons in namespaces, ${NAME}: no wrong byte, and no error (needs root)`,
  async () => {
    const scenario = loadScenario(NAME, 1);
    const { faults } = scenario;
    const report = await runProcesses({ scenario, seed: 1, faults, say: () => undefined });
    const skipped = ['crash: killed, the machine keeps its power'];
    expect(report).toMatchObject({ violations: [], skipped, faults: faults.length });
    expect(report.reads).toBeGreaterThan(100);
    expect(report.peerBytes).toBeGreaterThan(0);
  },
);
