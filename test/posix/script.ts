import { type Agents, type User, USERS } from './agents.ts';

/**
 * Cases of one operation by what they show. Each is a script of lines `USER: OPERATION WORD … -> OUTCOME`:
 * without a user root does it, without an outcome it must be `ok`. It runs in an empty folder that
 * everybody may write to. `x{255}` is a word of 255 x. OPERATIONS in `operations.ts` lists what there is.
 */
export type Table = Readonly<Record<string, string>>;

/** A file system that answers a line of a case differently, and why it may. */
export interface Difference {
  /** `TABLE: CASE`. */
  readonly at: string;
  /** The line, without its outcome. */
  readonly line: string;
  readonly outcome: string;
  readonly why: string;
}

/** One line of a script. */
interface Step {
  readonly user: User;
  readonly words: readonly string[];
  readonly outcome: string;
  /** Without the outcome, as it is written. */
  readonly text: string;
}

/** @returns what the lines of a script say, and what must come of them */
function parse(script: string): readonly Step[] {
  const lines = script.split('\n').map((line) => line.trim());
  return lines.filter((line) => line !== '').map(parseLine);
}

function parseLine(line: string): Step {
  const [text = '', outcome = 'ok'] = line.split(' -> ');
  const named = /^(\w+): (.*)$/.exec(text);
  const user = named?.[1] ?? 'root';
  if (!(user in USERS)) throw new Error(`nobody is called ${user}`);
  const words = (named?.[2] ?? text).split(' ').map(expanded);
  return { user: user as User, words, outcome, text };
}

/** `''` is an empty word, and `x{3}` is xxx. */
function expanded(word: string): string {
  if (word === "''") return '';
  return word.replaceAll(/(.)\{(\d+)\}/g, (_, letter: string, count: string) =>
    letter.repeat(Number(count)),
  );
}

/**
 * Runs a case in a folder of its own.
 *
 * @param differences - those of this case
 * @returns its lines with what came of them, and with what must have come of them
 */
export async function runCase(
  agents: Agents,
  script: string,
  differences: readonly Difference[],
): Promise<{ readonly found: string[]; readonly wanted: string[] }> {
  const found: string[] = [];
  const wanted: string[] = [];
  for (const { user, words, outcome, text } of parse(script)) {
    const other = differences.find(({ line }) => line === text);
    wanted.push(`${text} -> ${other?.outcome ?? outcome.split(' ').map(expanded).join(' ')}`);
    found.push(`${text} -> ${await agents.run(user, words)}`);
  }
  for (const { line } of differences) {
    if (!found.some((each) => each.startsWith(`${line} -> `))) found.push(`no line: ${line}`);
  }
  return { found, wanted };
}
