import type { Command } from 'commander';
import { CodedError } from '../runtime/coded-error.ts';
import { Lanes } from './lanes.ts';
import { runOneShot } from './one-shot.ts';
import { parseWhole, UsageError } from './quantities.ts';
import { tallyDisplay } from './tally-display.ts';
import { openChangingTree, toolPaths } from './tool-tree.ts';
import { addOriginOptions, type OriginOptions } from './tool-volume.ts';
import type { Tree, TreeNode } from './tree.ts';

interface RmrOptions extends OriginOptions {
  readonly threads: string;
  readonly skipTrash?: boolean;
  readonly json?: boolean;
}

/** Not everything could be removed; what it was stands in the output. */
export class RemovalError extends CodedError<'incomplete'> {}

const LANES_MAX = 255;
const FAILURES_SHOWN = 10;

/** The options of `cachemesh rmr`. */
export function describeRmr(command: Command): void {
  command
    .description('remove directories with all that is in them')
    .argument('<PATH...>', 'in a mount; or META-URL PATH…, in the volume')
    .option('-p, --threads <N>', 'removals at once', '50')
    .option('--skip-trash', 'remove for good; with META-URL only')
    .option('--json', 'as JSON')
    .action((given: string[], options: RmrOptions) => rmr(given, options));
  addOriginOptions(command);
}

async function rmr(given: readonly string[], options: RmrOptions): Promise<void> {
  const lanes = parseWhole('--threads', options.threads, { min: 1, max: LANES_MAX });
  const { metaUrl, paths } = toolPaths(given);
  const skipTrash = options.skipTrash === true;
  const done = await runOneShot(async (context) => {
    const tree = await openChangingTree(metaUrl, { ...options, skipTrash }, context);
    const display = tallyDisplay(process.stderr, options.json !== true);
    const removal = new Removal(tree, new Lanes(lanes, context.signal), ({ files, dirs }) =>
      display.update(`${files} files and ${dirs} directories removed`),
    );
    try {
      // All are looked for before the first is removed.
      const nodes: TreeNode[] = [];
      for (const each of paths) nodes.push(await tree.find(each));
      const root = nodes.find(({ path }) => path === '/');
      if (root !== undefined) throw new UsageError('/: name what is to be removed in the root');
      for (const node of nodes) await removal.remove(node);
      return removal.state;
    } finally {
      display.end();
    }
  });
  const text = `${done.files} files and ${done.dirs} directories removed`;
  process.stdout.write(`${options.json === true ? JSON.stringify(done) : text}\n`);
  if (done.failed === 0) return;
  const shown = done.failures.map(({ path, error }) => `${path}: ${error}`).join('\n');
  throw new RemovalError('incomplete', `${done.failed} could not be removed:\n${shown}`);
}

/** Removes trees, from their leaves up. What cannot be removed stays, with the directories above it. */
class Removal {
  readonly #tree: Tree;
  readonly #lanes: Lanes;
  readonly #onChange: (state: Removal['state']) => void;
  readonly state = {
    ...{ files: 0, dirs: 0, failed: 0 },
    failures: [] as { readonly path: string; readonly error: string }[],
  };

  constructor(tree: Tree, lanes: Lanes, onChange: (state: Removal['state']) => void) {
    this.#tree = tree;
    this.#lanes = lanes;
    this.#onChange = onChange;
  }

  async remove(node: TreeNode): Promise<void> {
    const failedBefore = this.state.failed;
    if (node.isDirectory) {
      await this.#lanes.spread(this.#tree.children(node), (child) => this.remove(child));
      // It is not empty: that tells nothing new. (Other trees may have failed meanwhile, too.)
      if (this.state.failed > failedBefore) return;
    }
    try {
      const isDone = await this.#tree.remove(node);
      if (isDone) this.state[node.isDirectory ? 'dirs' : 'files'] += 1;
    } catch (error) {
      this.state.failed += 1;
      const { failures } = this.state;
      const failure = { path: node.path, error: (error as Error).message };
      if (failures.length < FAILURES_SHOWN) failures.push(failure);
    }
    this.#onChange(this.state);
  }
}
