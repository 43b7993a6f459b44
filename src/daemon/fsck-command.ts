import Table from 'cli-table3';
import type { Command } from 'commander';
import type { BlockKey } from '../block/block-key.ts';
import { objectKeyOf, parseObjectKey } from '../block/object-key.ts';
import { sliceBlocks } from '../block/slice-blocks.ts';
import type { StoredChunk } from '../meta/write/scans.ts';
import { CodedError } from '../runtime/coded-error.ts';
import { encryptionOverheadBytes } from '../store/decrypt-object.ts';
import { byteText } from './byte-text.ts';
import { inodePath } from './inode-path.ts';
import { Lanes } from './lanes.ts';
import { type OneShot, runOneShot } from './one-shot.ts';
import { tallyDisplay } from './tally-display.ts';
import { addOriginOptions, openToolVolume, type OriginOptions } from './tool-volume.ts';
import type { OpenVolume } from './volume.ts';

interface FsckOptions extends OriginOptions {
  readonly json?: boolean;
}

/** Data of the volume is damaged; the output tells which files. */
export class FsckError extends CodedError<'damaged'> {}

/** What is wrong with a file. */
interface Finding {
  /** `list`: its slice list cannot be read. */
  readonly kind: 'missing' | 'size' | 'list';
  readonly ino: string;
  readonly path: string;
  readonly object: string;
  readonly expectedBytes?: number;
  readonly foundBytes?: number;
}

const LANES = 20;
const OBJECTS_PER_STEP = 100;

/** The options of `cachemesh fsck`. */
export function describeFsck(command: Command): void {
  command
    .description("look whether all objects of a volume's files are there, in the right size")
    .argument('<META-URL>')
    .option('--json', 'as JSON')
    .action((metaUrl: string, options: FsckOptions) => fsck(metaUrl, options));
  addOriginOptions(command);
}

async function fsck(metaUrl: string, options: FsckOptions): Promise<void> {
  const { totals, findings } = await runOneShot(async (context) => {
    const display = tallyDisplay(process.stderr, options.json !== true);
    try {
      const volume = await openToolVolume(metaUrl, options, context);
      const run = new FsckRun(volume, context, (text) => display.update(text));
      await run.check();
      return run;
    } finally {
      display.end();
    }
  });
  const shown = options.json === true ? jsonOf : textOf;
  process.stdout.write(`${shown(totals, findings)}\n`);
  if (findings.length === 0) return;
  const files = new Set(findings.map(({ ino }) => ino)).size;
  throw new FsckError('damaged', `${findings.length} findings in ${files} files`);
}

type Totals = FsckRun['totals'];

class FsckRun {
  readonly #volume: OpenVolume;
  readonly #context: OneShot;
  readonly #show: (text: string) => void;
  readonly #sizes = new Map<string, number>();
  readonly #paths = new Map<bigint, string>();
  readonly totals = { chunks: 0, blocks: 0, bytes: 0 };
  readonly findings: Finding[] = [];

  constructor(volume: OpenVolume, context: OneShot, show: (text: string) => void) {
    this.#volume = volume;
    this.#context = context;
    this.#show = show;
  }

  /** The lists come before the objects: what is in a list now was stored before. */
  async check(): Promise<void> {
    const { meta, store, setting, format } = this.#volume;
    const { signal } = this.#context;
    const chunks: StoredChunk[] = [];
    for await (const chunk of meta.scans.chunks(signal)) {
      chunks.push(chunk);
      if (chunks.length % OBJECTS_PER_STEP === 0) this.#show(`${chunks.length} slice lists read`);
    }
    for await (const { key, sizeBytes } of store.list(`${setting.name}/chunks/`, signal)) {
      if (parseObjectKey(format.naming, key) !== undefined) this.#sizes.set(key, sizeBytes);
      if (this.#sizes.size % OBJECTS_PER_STEP === 0) this.#show(`${this.#sizes.size} objects seen`);
    }
    await new Lanes(LANES, signal).spread(chunks, (chunk) => this.#checkChunk(chunk));
    this.findings.sort((a, b) => (`${a.path} ${a.object}` < `${b.path} ${b.object}` ? -1 : 1));
  }

  async #checkChunk(chunk: StoredChunk): Promise<void> {
    this.totals.chunks += 1;
    if (chunk.records === undefined) {
      await this.#find(chunk, { kind: 'list', object: `part ${chunk.index}` });
      return;
    }
    const slices = new Map(chunk.records.map(({ sliceId, size }) => [sliceId, size]));
    for (const [sliceId, size] of slices) {
      if (sliceId === 0n) continue;
      for (const key of sliceBlocks(sliceId, size, this.#volume.setting.blockBytes)) {
        this.totals.blocks += 1;
        this.totals.bytes += key.sizeBytes;
        await this.#checkBlock(chunk, key);
      }
    }
  }

  async #checkBlock(chunk: StoredChunk, key: BlockKey): Promise<void> {
    const { store, format, meta } = this.#volume;
    const { signal } = this.#context;
    const object = objectKeyOf(format.naming, key);
    if (this.#isRight(key, this.#sizes.get(object))) return;
    // A listing may lag behind, and the file may be gone by now.
    const found = (await store.head(object, signal))?.sizeBytes;
    if (this.#isRight(key, found)) return;
    const present = await meta.readChunk(chunk.ino, chunk.index, signal);
    if (!present.some(({ sliceId }) => sliceId === key.sliceId)) return;
    await this.#find(chunk, {
      kind: found === undefined ? 'missing' : 'size',
      ...{ object, expectedBytes: key.sizeBytes },
      ...(found !== undefined && { foundBytes: found }),
    });
  }

  #isRight({ sizeBytes }: BlockKey, found: number | undefined): boolean {
    if (found === undefined) return false;
    const { compression, encryption } = this.#volume.format;
    const more = encryption === undefined ? 0 : encryptionOverheadBytes(encryption.dataKey);
    // How short a block gets depends on its bytes.
    return compression === 'none' ? found === sizeBytes + more : found > more;
  }

  async #find({ ino }: StoredChunk, finding: Omit<Finding, 'ino' | 'path'>): Promise<void> {
    const path = this.#paths.get(ino) ?? (await this.#pathOf(ino));
    this.#paths.set(ino, path);
    this.findings.push({ ...finding, ino: String(ino), path });
  }

  async #pathOf(ino: StoredChunk['ino']): Promise<string> {
    const without = { gone: 'a deleted file', nameless: 'a file without a name' };
    return await inodePath(this.#volume.meta, ino, without, this.#context.signal);
  }
}

function jsonOf(totals: Totals, findings: readonly Finding[]): string {
  return JSON.stringify({ ...totals, findings }, undefined, 2);
}

function textOf({ chunks, blocks, bytes }: Totals, findings: readonly Finding[]): string {
  const all = `${blocks} blocks (${byteText(bytes)}) of ${chunks} slice lists looked for`;
  if (findings.length === 0) return `${all}: nothing is wrong`;
  const table = new Table({ head: ['path', 'object', 'what is wrong'] });
  for (const { kind, path, object, expectedBytes, foundBytes } of findings) {
    const size = `${foundBytes} bytes instead of those of a block of ${expectedBytes}`;
    const wrong = { missing: 'missing', size, list: 'its slice list cannot be read' }[kind];
    table.push([path, object, wrong]);
  }
  return `${all}\n${table.toString()}`;
}
