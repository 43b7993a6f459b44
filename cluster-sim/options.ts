import { parseArgs } from 'node:util';

/** Seeds have 32 bits; nothing else is as large. */
const WHOLE_MOST = 2 ** 32 - 1;

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
  --scale 10,100   groups of these sizes: ring, membership, a warm-up, a job start; as a table and
                   docs/scale.svg (4,000 take more than 4 GB of memory)
  --threads N      default 2
`;

/** @throws TypeError naming what makes no sense on the command line */
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
    seed: values.seed === undefined ? undefined : wholeNumber('--seed', values.seed, 0),
    seeds: wholeNumber('--seeds', values.seeds, 1),
    minutes: values.minutes === undefined ? undefined : amount('--minutes', values.minutes),
    canary: values.canary,
    canaries: values.canaries,
    trace: values.trace,
    scale: values.scale?.split(',').map((size) => wholeNumber('--scale', size, 2)),
    table: values.table === undefined ? undefined : wholeNumber('--table', values.table, 1),
    twiceEvery: wholeNumber('--twice-every', values['twice-every'], 1),
    threads: wholeNumber('--threads', values.threads, 1),
  };
}

/** @param least - the smallest that makes sense @throws TypeError naming the option */
export function wholeNumber(option: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= WHOLE_MOST) return value;
  throw new TypeError(`${option} ${text}: must be a whole number from ${least} to ${WHOLE_MOST}`);
}

/** A number above 0. @throws TypeError naming the option */
export function amount(option: string, text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= WHOLE_MOST) return value;
  throw new TypeError(`${option} ${text}: must be a number above 0`);
}
