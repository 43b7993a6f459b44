import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../faults/fault.ts';
import type { Scenario } from '../scenario/scenario.ts';
import { seededRandom } from '../world/seeded-random.ts';
import { beginProcessFault, whatIsLeftOut, whyNot } from './begin-process-fault.ts';
import { FaultLog } from './fault-log.ts';
import { ProcessCluster } from './process-cluster.ts';
import { type ReaderReport, ReaderWatch } from './reader-watch.ts';

/** Calls of a program that take longer are told. */
const SLOW_MS = 200;
/** Real time is short: what a scenario reads in hours of virtual time is read as fast as may be. */
const THINK_MS_MAX = 50;
/** When the last fault is over, everything is read for so long still. */
const AFTER_MS = 3_000;
/** The longest one may wait until a fault is over, beyond its own time: a daemon that starts. */
const END_FAULT_TIMEOUT_MS = 90_000;

/** What a run on real processes came to. */
export interface ProcessReport {
  readonly faults: number;
  /** Faults of the scenario, and parts of them, that only the simulator has. */
  readonly skipped: readonly string[];
  readonly reads: number;
  /** Read from peers, by the daemons that were there at the end. */
  readonly peerBytes: number;
  readonly violations: readonly string[];
  readonly longestMs: number;
  readonly longestText: string;
  readonly excused: number;
}

/** How it is run. */
export interface ProcessRunOptions {
  readonly scenario: Scenario;
  readonly seed: number;
  /** The faults, in the order of their times; each one's `atMs` counts from the beginning. */
  readonly faults: Iterable<Fault>;
  readonly say: (text: string) => void;
}

/** Runs a scenario on daemons in namespaces, under a checking reader on each mount. Needs root. */
export async function runProcesses(options: ProcessRunOptions): Promise<ProcessReport> {
  const { scenario, say } = options;
  const cluster = await ProcessCluster.start(scenario, seededRandom(options.seed));
  say(`${scenario.name}: ${cluster.nodes.length} daemons are up`);
  const log = new FaultLog();
  const { files, nodes } = cluster;
  const plan = { files, thinkMs: Math.min(THINK_MS_MAX, scenario.load.thinkMs), slowMs: SLOW_MS };
  const watches = nodes.map(
    (node) => new ReaderWatch(node, { ...plan, mountpoint: node.mountpoint }, log),
  );
  try {
    const skipped = await injectAll(cluster, options, log);
    await sleep(AFTER_MS);
    const reports = await Promise.all(watches.map((watch) => watch.end()));
    const fromPeers = await Promise.all(nodes.map((node) => node.bytesFromPeers()));
    const peerBytes = fromPeers.reduce((sum, bytes) => sum + bytes, 0);
    return { ...summary(reports), faults: log.length, skipped, peerBytes };
  } finally {
    for (const watch of watches) watch.kill();
    await cluster.stop();
  }
}

/** @returns what was skipped */
async function injectAll(
  cluster: ProcessCluster,
  { faults, say }: ProcessRunOptions,
  log: FaultLog,
): Promise<string[]> {
  const startMs = performance.now();
  const skipped: string[] = [];
  const running: Promise<void>[] = [];
  for (const fault of faults) {
    const reason = whyNot(fault);
    const lack = reason ?? whatIsLeftOut(fault);
    if (lack !== undefined) skipped.push(lack);
    if (reason !== undefined) continue;
    await sleep(Math.max(0, startMs + fault.atMs - performance.now()));
    running.push(inject(cluster, fault, log, say));
  }
  await Promise.all(running);
  return skipped;
}

async function inject(
  cluster: ProcessCluster,
  fault: Fault,
  log: FaultLog,
  say: (text: string) => void,
): Promise<void> {
  const { atMs, forMs, ...what } = fault;
  const text = JSON.stringify(what);
  say(`${(atMs / 1000).toFixed(1)} s: ${text} for ${forMs} ms`);
  const over = log.begin(fault.kind, text);
  const end = await beginProcessFault(cluster, fault);
  await sleep(forMs);
  const isOver = await Promise.race([
    Promise.resolve(end()).then(() => true),
    sleep(END_FAULT_TIMEOUT_MS, false, { ref: false }),
  ]);
  over();
  if (!isOver) throw new Error(`the fault ${text} could not be ended`);
}

function summary(
  reports: readonly ReaderReport[],
): Omit<ProcessReport, 'faults' | 'skipped' | 'peerBytes'> {
  const [longest] = reports.toSorted((a, b) => b.longestMs - a.longestMs);
  return {
    reads: reports.reduce((sum, { reads }) => sum + reads, 0),
    violations: reports.flatMap(({ violations }) => violations),
    longestMs: longest?.longestMs ?? 0,
    longestText: longest?.longestText ?? '',
    excused: reports.reduce((sum, { excused }) => sum + excused, 0),
  };
}
