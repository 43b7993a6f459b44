import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { FsError } from '../../src/posix/errno.ts';
import type { Ino } from '../../src/posix/ino.ts';
import { type ModelNode, ModelRefusal, TreeModel } from './tree-model.ts';
import { type MakeVolume, text, WriterBench } from './writer-bench.ts';

/** More when told: 10,000 must hold. */
const RUNS = Number(process.env['CACHEMESH_TEST_SEQUENCES'] ?? 60);
/** All of a volume is looked through again and again, so it must not grow for ever. */
const RUNS_PER_VOLUME = 100;
const TIMEOUT_MS = 60_000 + RUNS * 1_000;

/** Which directory (by number, of those that there are) and which name. */
interface Place {
  readonly dir: number;
  readonly name: string;
}

type Step =
  | { readonly op: 'file' | 'dir' | 'symlink' | 'unlink' | 'rmdir'; readonly at: Place }
  | { readonly op: 'link'; readonly at: Place; readonly to: Place }
  | {
      readonly op: 'rename';
      readonly at: Place;
      readonly to: Place;
      readonly how: 'replace' | 'keep' | 'exchange';
    }
  | { readonly op: 'truncate'; readonly at: Place; readonly length: number };

const place = fc.record({ dir: fc.nat(3), name: fc.constantFrom('a', 'b', 'c') });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    op: fc.constantFrom('file', 'dir', 'dir', 'symlink', 'unlink', 'rmdir'),
    at: place,
  }),
  fc.record({ op: fc.constant('link' as const), at: place, to: place }),
  fc.record({
    op: fc.constant('rename' as const),
    ...{ at: place, to: place },
    how: fc.constantFrom('replace', 'replace', 'keep', 'exchange'),
  }),
  fc.record({
    op: fc.constant('truncate' as const),
    ...{ at: place, length: fc.nat(200_000_000) },
  }),
);

async function benchOf(make: MakeVolume, days: number) {
  const volume = await make({ TrashDays: days });
  const bench = await WriterBench.on(volume);
  const stop = async () => {
    await bench.stop();
    await volume.stop();
  };
  return { bench, stop };
}

/** Random operations do to a volume what they do to a model. */
export function modelContract(make: MakeVolume): void {
  describe('a model', () => {
    it.each([0, 1])(
      'of a file tree agrees after random operations; %i days of trash',
      async (days) => {
        const open = () => benchOf(make, days);
        let { bench, stop } = await open();
        onTestFinished(() => stop());
        let run = 0;
        await fc.assert(
          fc.asyncProperty(
            fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
            async (steps) => {
              run += 1;
              const twin = new Twin(bench, await bench.mkdir(`run${run}`), days > 0);
              for (const each of steps) await twin.apply(each);
              expect(await twin.realLines()).toEqual(twin.modelLines());
              if (run % 10 === 0) await bench.sound();
              if (run % RUNS_PER_VOLUME !== 0) return;
              await stop();
              ({ bench, stop } = await open());
            },
          ),
          { numRuns: RUNS },
        );
        expect(run).toBeGreaterThanOrEqual(RUNS);
        await bench.sound();
      },
      TIMEOUT_MS,
    );
  });
}

/** The model, and the volume's directory that must be like it. */
class Twin {
  readonly model = new TreeModel();
  readonly #bench: WriterBench;
  readonly #inos: Map<ModelNode, Ino>;
  readonly #hasTrash: boolean;

  /** @param hasTrash - names in the trash count as links, which the model knows nothing of */
  constructor(bench: WriterBench, root: Ino, hasTrash: boolean) {
    this.#bench = bench;
    this.#hasTrash = hasTrash;
    this.#inos = new Map([[this.model.root, root]]);
  }

  /** Does a step to both, and compares what comes of it. */
  async apply(each: Step): Promise<void> {
    const dir = this.#dir(each.at);
    const node = dir.entries.get(each.at.name);
    const real = this.#real(each, dir, node);
    let refusal: string | undefined;
    let made: ModelNode | undefined;
    try {
      made = this.#inModel(each, dir, node);
    } catch (error) {
      if (!(error instanceof ModelRefusal)) throw error;
      refusal = error.message;
    }
    const outcome = await real.then(
      (ino) => ({ ino, code: undefined }),
      (error: unknown) => {
        if (error instanceof FsError) return { ino: undefined, code: error.code };
        throw error;
      },
    );
    if (outcome.code !== refusal) {
      const told = JSON.stringify(each);
      throw new Error(`${told}: ${outcome.code} instead of ${refusal}`);
    }
    if (made !== undefined && outcome.ino !== undefined) this.#inos.set(made, outcome.ino);
  }

  modelLines(): string[] {
    return this.model.lines((node) => this.#show(node)).toSorted();
  }

  async realLines(dir?: Ino, path = ''): Promise<string[]> {
    const ino = dir ?? this.#ino(this.model.root);
    const { entries } = await this.#bench.engine.readdir(
      ino,
      { cursor: undefined, withAttrs: true },
      this.#bench.root.signal,
    );
    const ids = new Map([...this.#inos].map(([node, real]) => [real, node.id]));
    const lines: string[] = [];
    for (const { name, ino: child, type, attr } of entries) {
      const here = `${path}/${Buffer.from(name).toString()}`;
      if (attr === undefined) throw new Error(`${here} has no attribute`);
      const shown = { type, nlink: attr.nlink, length: Number(attr.length), id: ids.get(child) };
      lines.push(`${here} ${this.#show(shown)}`);
      if (type === FileType.directory) lines.push(...(await this.realLines(child, here)));
    }
    return lines.toSorted();
  }

  #show(node: { type: FileType; nlink: number; length: number; id: number | undefined }): string {
    const { type, nlink, length, id } = node;
    const size = type === FileType.file ? length : '';
    const links = this.#hasTrash && type !== FileType.directory ? '' : nlink;
    return `${type} ${links} ${size} #${id}`;
  }

  #inModel(each: Step, dir: ModelNode, node: ModelNode | undefined): ModelNode | undefined {
    const { name } = each.at;
    switch (each.op) {
      case 'file':
        return this.model.make(dir, name, FileType.file);
      case 'dir':
        return this.model.make(dir, name, FileType.directory);
      case 'symlink':
        return this.model.make(dir, name, FileType.symlink);
      case 'unlink':
        this.model.unlink(dir, name);
        return undefined;
      case 'rmdir':
        this.model.rmdir(dir, name);
        return undefined;
      case 'link':
        if (node !== undefined) this.model.link(node, this.#dir(each.to), each.to.name);
        return undefined;
      case 'rename':
        this.model.rename([dir, name], [this.#dir(each.to), each.to.name], each.how);
        return undefined;
      case 'truncate':
        if (node !== undefined) this.model.truncate(node, each.length);
        return undefined;
    }
  }

  /** @returns the inode that was made */
  async #real(each: Step, dir: ModelNode, node: ModelNode | undefined): Promise<Ino | undefined> {
    const { writer, root } = this.#bench;
    const at = { parent: this.#ino(dir), name: text(each.at.name) };
    switch (each.op) {
      case 'file':
        return (await writer.mknod(at, { type: FileType.file, mode: 0o644, umask: 0 }, root)).ino;
      case 'dir':
        return (await writer.mknod(at, { type: FileType.directory, mode: 0o755, umask: 0 }, root))
          .ino;
      case 'symlink': {
        const link = { type: FileType.symlink, mode: 0o777, umask: 0, target: text('x') };
        return (await writer.mknod(at, link, root)).ino;
      }
      case 'unlink':
        await writer.unlink(at, root);
        return undefined;
      case 'rmdir':
        await writer.rmdir(at, root);
        return undefined;
      case 'link':
        if (node !== undefined) await writer.link(this.#ino(node), this.#at(each.to), root);
        return undefined;
      case 'rename': {
        const flags = { noReplace: each.how === 'keep', exchange: each.how === 'exchange' };
        await writer.rename(at, this.#at(each.to), flags, root);
        return undefined;
      }
      case 'truncate':
        if (node !== undefined) await writer.truncate(this.#ino(node), BigInt(each.length), root);
        return undefined;
    }
  }

  #at({ dir, name }: Place) {
    return { parent: this.#ino(this.#dir({ dir, name })), name: text(name) };
  }

  #dir({ dir }: Place): ModelNode {
    const { dirs } = this.model;
    return dirs[dir % dirs.length] ?? this.model.root;
  }

  #ino(node: ModelNode): Ino {
    const ino = this.#inos.get(node);
    if (ino === undefined) throw new Error(`node ${node.id} has no inode`);
    return ino;
  }
}
