import Table from 'cli-table3';
import type { Command } from 'commander';
import { bigintText } from './bigint-text.ts';
import { byteText } from './byte-text.ts';
import { Lanes } from './lanes.ts';
import { runOneShot } from './one-shot.ts';
import { parseWhole } from './quantities.ts';
import { tallyDisplay } from './tally-display.ts';
import { openTree, toolPaths } from './tool-tree.ts';
import { spaceBytesOf, type Tree, type TreeNode } from './tree.ts';

interface SummaryOptions {
  readonly depth: string;
  readonly entries: string;
  readonly json?: boolean;
}

/** Sums over something and all that is in it, itself included. */
interface Sums {
  readonly path: string;
  readonly isDirectory: boolean;
  spaceBytes: bigint;
  dirs: number;
  files: number;
  children?: Sums[];
}

const LANES = 50;
const DEPTH_MAX = 10;
const ENTRIES_MAX = 100;

/** The options of `cachemesh summary`. */
export function describeSummary(command: Command): void {
  command
    .description('what is in a directory, and what takes how much space')
    .argument('<PATH...>', 'in a mount; or META-URL PATH…, in the volume')
    .option('-d, --depth <N>', 'levels to show, 0 for sums alone', '2')
    .option('-e, --entries <N>', 'largest entries of each directory to show', '10')
    .option('--json', 'as JSON')
    .action((given: string[], options: SummaryOptions) => summary(given, options));
}

async function summary(given: readonly string[], options: SummaryOptions): Promise<void> {
  const depth = parseWhole('--depth', options.depth, { min: 0, max: DEPTH_MAX });
  const entries = parseWhole('--entries', options.entries, { min: 1, max: ENTRIES_MAX });
  const { metaUrl, paths } = toolPaths(given);
  const all = await runOneShot(async (context) => {
    const tree = await openTree(metaUrl, context);
    const display = tallyDisplay(process.stderr, options.json !== true);
    const walk = new SummaryWalk(tree, new Lanes(LANES, context.signal), (seen) =>
      display.update(`${seen} files and directories seen`),
    );
    try {
      const sums: Sums[] = [];
      for (const each of paths) sums.push(await walk.sum(await tree.find(each), depth));
      return sums;
    } finally {
      display.end();
    }
  });
  for (const sums of all) cut(sums, entries);
  process.stdout.write(`${options.json === true ? jsonOf(all) : tableOf(all)}\n`);
}

class SummaryWalk {
  readonly #tree: Tree;
  readonly #lanes: Lanes;
  readonly #onSeen: (count: number) => void;
  #seen = 0;

  constructor(tree: Tree, lanes: Lanes, onSeen: (count: number) => void) {
    this.#tree = tree;
    this.#lanes = lanes;
    this.#onSeen = onSeen;
  }

  /** @param depth - levels below it to keep; what is deeper is only added up */
  async sum(node: TreeNode, depth: number): Promise<Sums> {
    const { path, isDirectory } = node;
    this.#onSeen((this.#seen += 1));
    const sums: Sums = {
      ...{ path, isDirectory, spaceBytes: spaceBytesOf(node) },
      ...{ dirs: isDirectory ? 1 : 0, files: isDirectory ? 0 : 1 },
    };
    if (!isDirectory) return sums;
    if (depth > 0) sums.children = [];
    await this.#lanes.spread(this.#tree.children(node), async (child) => {
      const below = await this.sum(child, depth - 1);
      add(sums, below);
      sums.children?.push(below);
    });
    return sums;
  }
}

function add(sums: Sums, { spaceBytes, dirs, files }: Sums): void {
  sums.spaceBytes += spaceBytes;
  sums.dirs += dirs;
  sums.files += files;
}

/** Keeps the largest entries; the others are one. */
function cut(sums: Sums, entries: number): void {
  const { children } = sums;
  if (children === undefined) return;
  children.sort((a, b) => Number(b.spaceBytes - a.spaceBytes) || (a.path < b.path ? -1 : 1));
  const rest = children.splice(entries);
  if (rest.length > 0) {
    const path = `${sums.path === '/' ? '' : sums.path}/...`;
    const others: Sums = { path, isDirectory: false, spaceBytes: 0n, dirs: 0, files: 0 };
    for (const each of rest) add(others, each);
    children.push(others);
  }
  for (const child of children) cut(child, entries);
}

function tableOf(all: readonly Sums[]): string {
  const table = new Table({
    head: ['path', 'size', 'dirs', 'files'],
    colAligns: ['left', 'right', 'right', 'right'],
  });
  const push = ({ path, isDirectory, spaceBytes, dirs, files, children }: Sums): void => {
    const shown = isDirectory && path !== '/' ? `${path}/` : path;
    table.push([shown, byteText(Number(spaceBytes)), dirs, files]);
    for (const child of children ?? []) push(child);
  };
  for (const sums of all) push(sums);
  return table.toString();
}

function jsonOf(all: readonly Sums[]): string {
  return JSON.stringify(all, bigintText, 2);
}
