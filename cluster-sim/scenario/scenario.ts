import type { Fault } from '../faults/fault.ts';
import type { LoadShape } from '../load/load-shape.ts';
import { GOOD_LINK, type LinkQuality } from '../network/link-rules.ts';
import { GOOD_ORIGIN, type OriginQuality } from '../origin/sim-origin.ts';
import type { VolumeShape } from '../origin/sim-volume.ts';
import { DEFAULT_SETTINGS, type NodeSettings } from '../node/node-settings.ts';

/** What must hold in a scenario, beyond what always must: right bytes, no errors, no leaks. */
export interface CheckLimits {
  /** No read takes longer, the time in which its own daemon is paused aside. */
  readonly stallMsMax: number;
  /** After the last fault, all nodes see the same members within this. */
  readonly agreeMsMax: number;
  /** After the last fault, all reads are over within this. */
  readonly settleMsMax: number;
  /** A block is fetched from the origin once: nothing is evicted, and no fault is about that. */
  readonly fetchedOnce: boolean;
}

/** A cluster, what is read on it, what goes wrong meanwhile and what must hold. */
export interface Scenario {
  readonly name: string;
  /** What the faults are and what an application sees of them. */
  readonly about: string;
  readonly nodes: number;
  /** Nodes that start together; each other one starts so much later than the one before. */
  readonly startGapMs: number;
  readonly volume: VolumeShape;
  readonly link: LinkQuality;
  readonly origin: OriginQuality;
  readonly settings: NodeSettings;
  readonly load: LoadShape;
  readonly faults: readonly Fault[];
  readonly checks: CheckLimits;
}

/** A scenario as it stands in a file: what is left out has a default. */
export type ScenarioFile = Pick<Scenario, 'name' | 'about'> &
  Partial<Pick<Scenario, 'nodes' | 'startGapMs' | 'faults'>> & {
    /** Seeds that it is run with each time: those by which something was found. */
    readonly seeds?: readonly number[];
    readonly volume?: Partial<VolumeShape>;
    readonly link?: Partial<LinkQuality>;
    readonly origin?: Partial<OriginQuality>;
    readonly settings?: Partial<NodeSettings>;
    readonly load?: Partial<LoadShape>;
    readonly checks?: Partial<CheckLimits>;
  };

/** What a file leaves out. */
export const DEFAULT_VOLUME: VolumeShape = { blocks: 24, bytesMin: 4_096, bytesMax: 96 * 1024 };
/** What a file leaves out. */
export const DEFAULT_LOAD: LoadShape = {
  readersPerNode: 2,
  reads: 25,
  thinkMs: 400,
  pattern: 'random',
  partShare: 0.3,
  readAhead: false,
  warm: false,
};
/** What a file leaves out. */
export const DEFAULT_CHECKS: CheckLimits = {
  stallMsMax: 5_000,
  agreeMsMax: 10_000,
  settleMsMax: 30_000,
  fetchedOnce: false,
};

/** Fills in what a file leaves out. */
export function completeScenario(file: ScenarioFile): Scenario {
  return {
    name: file.name,
    about: file.about,
    nodes: file.nodes ?? 3,
    startGapMs: file.startGapMs ?? 0,
    volume: { ...DEFAULT_VOLUME, ...file.volume },
    link: { ...GOOD_LINK, ...file.link },
    origin: { ...GOOD_ORIGIN, ...file.origin },
    settings: { ...DEFAULT_SETTINGS, ...file.settings },
    load: { ...DEFAULT_LOAD, ...file.load },
    faults: file.faults ?? [],
    checks: { ...DEFAULT_CHECKS, ...file.checks },
  };
}
