/** Scenarios on real daemons: `npm run sim:processes`. @see HELP */
import { parseArgs } from 'node:util';
import { removeRunDir } from '../../test/servers/temp.ts';
import type { Fault } from '../faults/fault.ts';
import { amount, wholeNumber } from '../options.ts';
import { completeScenario, type Scenario } from '../scenario/scenario.ts';
import { loadScenario } from '../scenario/scenario-files.ts';
import { seededRandom } from '../world/seeded-random.ts';
import { randomFault } from './random-fault.ts';
import { type ProcessReport, runProcesses } from './run-processes.ts';

const HELP = `usage: npm run sim:processes -- [options]

Daemons in network namespaces, a checking reader on each mount, real faults. Needs root, Linux,
redis-server, ip and mkfs.ext4, and what \`npm run build\` has made.

  --scenario NAME  a scenario file (fast/partition, or a .json file); default: random faults
  --minutes M      of random faults; default 1
  --every S        seconds between two of them; default 5
  --nodes N        default 5, or as many as the scenario has where that is more
  --stall MS       no read may take longer where another copy can be had; default 1000
  --seed S         of the faults; default: from the time
`;
const MIB = 2 ** 20;
/** Scenarios of fewer are run with so many: a group in which faults leave somebody to help. */
const NODES_LEAST = 5;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      every: { type: 'string', default: '5' },
      nodes: { type: 'string' },
      stall: { type: 'string', default: '1000' },
      seed: { type: 'string' },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  if (process.getuid?.() !== 0) {
    console.error(
      'sim:processes needs root: for namespaces, devices and mounts. npm run sim does not.',
    );
    return 2;
  }
  const now = String(Date.now() % 2 ** 31);
  const seed = wholeNumber('--seed', values.seed ?? now, 0);
  const minutes = amount('--minutes', values.minutes);
  const everySeconds = amount('--every', values.every);
  const stallMsMax = amount('--stall', values.stall);
  const nodes = values.nodes === undefined ? undefined : wholeNumber('--nodes', values.nodes, 2);
  const file = values.scenario === undefined ? undefined : loadScenario(values.scenario, seed);
  const asked = file ?? campaignScenario();
  const scenario = { ...asked, nodes: nodes ?? Math.max(NODES_LEAST, asked.nodes) };
  const faults =
    file === undefined
      ? faultsFor(minutes * 60_000, everySeconds * 1000, scenario, seed)
      : scenario.faults.toSorted((a, b) => a.atMs - b.atMs);
  const report = await runProcesses({ scenario, seed, faults, say: console.log });
  console.log(textOf(report, seed));
  return report.violations.length === 0 && report.longestMs <= stallMsMax ? 0 : 1;
}

/** More than the caches of all nodes hold, so that every tier and the origin are used. */
function campaignScenario(): Scenario {
  return completeScenario({
    name: 'random faults',
    about: 'A random fault every few seconds.',
    nodes: NODES_LEAST,
    volume: { blocks: 120, bytesMin: 4_096, bytesMax: 2 * MIB },
    settings: { memoryBytes: 8 * MIB, diskBytes: 32 * MIB, verify: 'extend' },
    load: { thinkMs: 20 },
  });
}

function* faultsFor(
  totalMs: number,
  everyMs: number,
  scenario: Scenario,
  seed: number,
): Generator<Fault> {
  const random = seededRandom(seed).fork('faults');
  for (let atMs = everyMs; atMs < totalMs; atMs += everyMs) {
    yield { ...randomFault(random, scenario.nodes), atMs };
  }
}

function textOf(report: ProcessReport, seed: number): string {
  return [
    `seed ${seed}: ${report.faults} faults, ${report.reads} files read and compared, ` +
      `${report.violations.length} wrong or failed, longest wait ${report.longestMs} ms`,
    `from peers: ${(report.peerBytes / MIB).toFixed(0)} MiB, by the daemons that are there at the end`,
    `failures on mounts whose own daemon was killed: ${report.excused}`,
    ...[...new Set(report.skipped)].map((reason) => `skipped: ${reason}`),
    ...(report.longestText === '' ? [] : [`longest: ${report.longestText}`]),
    ...report.violations.slice(0, 20),
  ].join('\n');
}

try {
  process.exitCode = await main();
} finally {
  await removeRunDir();
}
