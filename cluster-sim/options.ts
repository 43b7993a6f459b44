import { parseArgs } from 'node:util';

/** What `npm run sim` is to do. */
export interface SimOptions {
  /** Scenario to run again, with {@link SimOptions.seed}. */
  readonly replay: string | undefined;
  readonly seed: number | undefined;
  /** Swarm seeds to run. */
  readonly seeds: number;
  /** Ends after so long instead. */
  readonly minutes: number | undefined;
  readonly canary: string | undefined;
  /** Plants each canary in turn. */
  readonly canaries: boolean;
  readonly trace: boolean;
  /** Sizes of groups to measure. */
  readonly scale: readonly number[] | undefined;
  /** Seeds per scenario of a table for docs/faults.md. */
  readonly table: number | undefined;
  /** One seed in so many is run twice; 1: each. */
  readonly twiceEvery: number;
  readonly threads: number;
}

/** Text of `--help`. */
export const HELP = `usage: npm run sim -- [options]

without options: all scenario files, then 100 fresh seeds of the swarm

  --seeds N        N fresh swarm seeds instead
  --minutes M      swarm seeds for M minutes
  --twice-every N  runs one swarm seed in N twice instead of each, and no scenario files:
                   for many seeds in little time
  --seed S         the first seed; default: from the time
  --replay NAME    one scenario (swarm, fast/owner-killed, or a .json file) with --seed,
                   says what happened, and shrinks it when it fails
  --trace          with --replay: every event
  --canary NAME    plants a bug; the checks have to find it
  --canaries       plants each bug in turn, 200 seeds at most
  --table N        each fast scenario with N seeds, as a table
  --scale 10,100   groups of these sizes: ring, membership, a job start; as a table and docs/scale.svg
  --threads N      default 2
`;

/** @throws TypeError when the command line makes no sense */
export function parseOptions(args: readonly string[]): SimOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', default: false },
      replay: { type: 'string' },
      seed: { type: 'string' },
      seeds: { type: 'string', default: '100' },
      minutes: { type: 'string' },
      canary: { type: 'string' },
      canaries: { type: 'boolean', default: false },
      scale: { type: 'string' },
      table: { type: 'string' },
      trace: { type: 'boolean', default: false },
      'twice-every': { type: 'string', default: '1' },
      threads: { type: 'string', default: '2' },
    },
  });
  if (values.help) return 'help';
  return {
    replay: values.replay,
    seed: numberOf(values.seed),
    seeds: Number(values.seeds),
    minutes: numberOf(values.minutes),
    canary: values.canary,
    canaries: values.canaries,
    trace: values.trace,
    scale: values.scale?.split(',').map(Number),
    table: numberOf(values.table),
    twiceEvery: Math.max(1, Number(values['twice-every'])),
    threads: Number(values.threads),
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
