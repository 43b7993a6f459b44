import { GOOD_DISK } from '../disk/sim-disk.ts';
import { GOOD_LINK } from '../network/link-rules.ts';
import { DEFAULT_SETTINGS } from '../node/node-settings.ts';
import { GOOD_ORIGIN } from '../origin/sim-origin.ts';
import { DEFAULT_CHECKS, DEFAULT_LOAD, DEFAULT_VOLUME, type ScenarioFile } from './scenario.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Values of the right kind for every field that a scenario file may have. */
const SCENARIO = {
  name: '',
  about: '',
  nodes: 0,
  startGapMs: 0,
  volume: DEFAULT_VOLUME,
  link: GOOD_LINK,
  origin: GOOD_ORIGIN,
  settings: DEFAULT_SETTINGS,
  load: DEFAULT_LOAD,
  checks: DEFAULT_CHECKS,
} satisfies Fields;

/** What each kind of fault must have besides its times. */
const FAULTS: Readonly<Record<string, Fields>> = {
  crash: { node: 0, power: true, keepCache: true },
  stop: { node: 0 },
  pause: { node: 0 },
  partition: { side: [0] },
  cut: { from: 0, to: 0 },
  link: { quality: GOOD_LINK },
  reset: { node: 0 },
  disk: { node: 0, quality: GOOD_DISK },
  'flip-bits': { node: 0, count: 0, restart: true },
  origin: { quality: GOOD_ORIGIN },
  clock: { node: 0, wallOffsetMs: 0, rate: 1 },
  weight: { node: 0, weight: 0 },
  metadata: {},
  stranger: { node: 0 },
};
const TIMES = { kind: '', atMs: 0, forMs: 0 };
/** What a fault may have. */
const EXTRAS: Readonly<Record<string, Fields>> = { link: { node: 0 } };

/**
 * A name that is written wrong would be a fault that does not happen, or a limit that is not looked at.
 *
 * @param where - what the content was read from
 * @throws TypeError naming the field that makes no sense
 */
export function checkScenarioFile(
  content: unknown,
  where: string,
): asserts content is ScenarioFile {
  const { faults = [], seeds = [], ...rest } = fieldsOf(content, where);
  checkFields(rest, SCENARIO, where);
  for (const needed of ['name', 'about']) {
    if (rest[needed] === undefined) throw new TypeError(`${where}: ${needed} is missing`);
  }
  checkLike(seeds, [0], `${where}: seeds`);
  if (!Array.isArray(faults)) throw new TypeError(`${where}: faults are no list`);
  for (const [at, fault] of faults.entries()) checkFault(fault, `${where}: fault ${at + 1}`);
}

function checkFault(fault: unknown, where: string): void {
  const fields = fieldsOf(fault, where);
  const kind = String(fields['kind']);
  const own = FAULTS[kind];
  if (own === undefined) throw new TypeError(`${where}: there is no kind '${kind}'`);
  const needed = { ...TIMES, ...own };
  checkFields(fields, { ...needed, ...EXTRAS[kind] }, where);
  for (const name of Object.keys(needed)) {
    if (fields[name] === undefined) throw new TypeError(`${where}: ${name} is missing`);
  }
}

/** Every field has to be one of `known`, and of its kind. */
function checkFields(fields: Fields, known: Fields, where: string): void {
  for (const [name, value] of Object.entries(fields)) {
    if (!Object.hasOwn(known, name)) throw new TypeError(`${where}: there is no field '${name}'`);
    checkLike(value, known[name], `${where}: ${name}`);
  }
}

function checkLike(value: unknown, sample: unknown, where: string): void {
  if (Array.isArray(sample)) {
    if (!Array.isArray(value)) throw new TypeError(`${where} is no list`);
    for (const item of value) checkLike(item, sample[0], where);
  } else if (typeof sample === 'object')
    checkFields(fieldsOf(value, where), sample as Fields, where);
  else if (typeof value !== typeof sample || Number.isNaN(value)) {
    throw new TypeError(`${where}: ${JSON.stringify(value)} is no ${typeof sample}`);
  }
}

function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new TypeError(`${where} is no object`);
}
