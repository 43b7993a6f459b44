import { parseArgs } from 'node:util';

/** How much is measured. */
export interface BenchSize {
  /** The large file. */
  readonly bigBytes: number;
  readonly smallFiles: number;
  /** The large file of the volume behind the object gateway. */
  readonly coldBigBytes: number;
  readonly coldSmallFiles: number;
  readonly rounds: number;
  readonly coldRounds: number;
  /** Duration of one random-read measurement. */
  readonly runSeconds: number;
  /** Files of the stat and open rows. */
  readonly statFiles: number;
  /** The whole run; behind it everything is ended and what was measured is reported. */
  readonly limitMs: number;
}

/** What the command line asks for. */
export interface BenchOptions {
  readonly size: BenchSize;
  readonly quick: boolean;
  /** Ids of rows and columns to measure; undefined is all. */
  readonly rows: readonly string[] | undefined;
  readonly columns: readonly string[] | undefined;
  /** The command that is benched, e.g. `node src/daemon/main.ts`. */
  readonly cachemesh: readonly [string, ...string[]];
  /** Print ids and end. */
  readonly list: boolean;
}

/** A command line that cannot be understood. */
export class UsageError extends Error {}

const MIB = 1024 * 1024;

const FULL: BenchSize = {
  ...{ bigBytes: 1024 * MIB, smallFiles: 5000, coldBigBytes: 512 * MIB, coldSmallFiles: 2000 },
  ...{ rounds: 3, coldRounds: 3, runSeconds: 4, statFiles: 1500, limitMs: 15 * 60_000 },
};
const QUICK: BenchSize = {
  ...{ bigBytes: 256 * MIB, smallFiles: 1500, coldBigBytes: 128 * MIB, coldSmallFiles: 400 },
  ...{ rounds: 2, coldRounds: 1, runSeconds: 2, statFiles: 1500, limitMs: 4 * 60_000 },
};

/** Text of `--help`. */
export const USAGE = `npm run bench -- [options]
  --quick              small data, few rounds, under 4 minutes (else under 15)
  --rounds N           rounds of the warm columns
  --big MIB            size of the large file (of both volumes)
  --files N            small files (of both volumes)
  --seconds N          duration of a random-read measurement
  --rows ID,ID         only these rows
  --columns ID,ID      only these columns
  --list               print the ids of rows and columns (torch, cold-torch: only when named)
  --cachemesh COMMAND  what to bench instead of bin/cachemesh.js`;

/**
 * @param args - the command line behind the program's name
 * @param defaultCommand - how cachemesh is started unless told
 * @throws UsageError
 */
export function parseOptions(
  args: readonly string[],
  defaultCommand: readonly [string, ...string[]],
): BenchOptions {
  const { values } = parse(args);
  if (values.help === true) throw new UsageError(USAGE);
  const base = values.quick === true ? QUICK : FULL;
  const [program, ...more] = values.cachemesh?.split(' ') ?? defaultCommand;
  return {
    size: sizeOf(base, values),
    quick: values.quick === true,
    rows: values.rows?.split(','),
    columns: values.columns?.split(','),
    cachemesh: program === undefined ? defaultCommand : [program, ...more],
    list: values.list === true,
  };
}

function sizeOf(base: BenchSize, values: ReturnType<typeof parse>['values']): BenchSize {
  const rounds = whole('--rounds', values.rounds) ?? base.rounds;
  const bigMib = whole('--big', values.big);
  const files = whole('--files', values.files);
  return {
    ...base,
    ...{ rounds, coldRounds: Math.min(base.coldRounds, rounds) },
    ...(bigMib === undefined ? {} : { bigBytes: bigMib * MIB, coldBigBytes: bigMib * MIB }),
    ...(files === undefined ? {} : { smallFiles: files, coldSmallFiles: files }),
    runSeconds: whole('--seconds', values.seconds) ?? base.runSeconds,
  };
}

function whole(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`${name} wants a number ≥ 1`);
  return value;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean' },
        rounds: { type: 'string' },
        big: { type: 'string' },
        files: { type: 'string' },
        seconds: { type: 'string' },
        rows: { type: 'string' },
        columns: { type: 'string' },
        cachemesh: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(`${String(error)}\n${USAGE}`);
  }
}
