/**
 * The main job, end to end, on nothing but this repository: a new JuiceFS volume (SQLite and a local
 * directory), three nodes of one cache group with a mount each, files written through the first and
 * read through every node and compared, and a table of where the bytes came from.
 *
 *   npm run quickstart              stays up until Ctrl-C
 *   npm run quickstart -- --once    cleans up at once
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Table from 'cli-table3';

interface WrittenFile {
  /** Below the mount point. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface Node {
  readonly name: string;
  readonly mountpoint: string;
  readonly metricsUrl: string;
}

const ROOT = path.resolve(import.meta.dirname, '..');
const PROGRAM = path.join(ROOT, 'src', 'daemon', 'main.ts');
const NODES = 3;
/** Small ones as in a folder of images, and one of several blocks. */
const FILES = [...Array.from({ length: 100 }, (_, index) => 20_000 + index * 1_000), 40_000_000];
const FORMAT_TIMEOUT_MS = 30_000;
const MOUNT_TIMEOUT_MS = 30_000;
const GROUP_TIMEOUT_MS = 20_000;

async function main(): Promise<void> {
  refuseWhereItCannotWork();
  const work = mkdtempSync(path.join(tmpdir(), 'cachemesh-quickstart-'));
  const children: ChildProcess[] = [];
  const stopped = new Promise<'stopped'>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => resolve('stopped'));
    }
  });
  try {
    const shown = show(work, children);
    // After Ctrl-C what is under way fails, because its nodes end: that is no news.
    shown.catch(() => undefined);
    const how = await Promise.race([shown, stopped]);
    if (how !== 'stopped' && !process.argv.includes('--once')) {
      console.log(`\nThe mounts stay until Ctrl-C. Try: ls ${how.mountpoint}`);
      await stopped;
    }
  } finally {
    await Promise.all(children.map(stopChild));
    rmSync(work, { recursive: true, force: true });
  }
  process.exit();
}

/** @param children - takes every daemon as soon as it is begun @returns the first node */
async function show(work: string, children: ChildProcess[]): Promise<Node> {
  await format(work);
  const nodes: Node[] = [];
  for (let number = 1; number <= NODES; number += 1) {
    nodes.push(await startNode(work, number, children));
  }
  await untilGrouped(nodes);
  await readThroughAll(nodes, await writeThroughFirst(nodes));
  console.log(await sourcesTable(nodes));
  return nodes[0] as Node;
}

function refuseWhereItCannotWork(): void {
  const refuse = (why: string) => {
    console.error(`cachemesh quickstart: ${why}`);
    process.exit(1);
  };
  if (process.platform !== 'linux') refuse('mounting needs Linux with FUSE');
  if (!existsSync('/dev/fuse')) refuse('there is no /dev/fuse: load the kernel module fuse');
  if (process.getuid?.() !== 0) {
    refuse('mounting needs root here: run it with sudo, or in a container with --privileged');
  }
}

const metaUrlIn = (work: string) => `sqlite3://${path.join(work, 'meta.db')}`;

/** Makes the volume, as a user would. */
async function format(work: string): Promise<void> {
  const words = ['format', metaUrlIn(work), 'quickstart', '--bucket', path.join(work, 'objects')];
  const options = { stdio: 'inherit', timeout: FORMAT_TIMEOUT_MS } as const;
  const child = spawn(process.execPath, [PROGRAM, ...words], options);
  const status = await new Promise((resolve) => child.once('exit', resolve));
  if (status !== 0) throw new Error('the volume could not be made');
}

/** Files of random bytes; when this resolves all nodes can read them. */
async function writeThroughFirst([first]: readonly Node[]): Promise<WrittenFile[]> {
  if (first === undefined) throw new Error('there is no node');
  const folder = 'files';
  mkdirSync(path.join(first.mountpoint, folder));
  const files: WrittenFile[] = [];
  for (const [index, sizeBytes] of FILES.entries()) {
    const bytes = randomBytes(sizeBytes);
    const name = path.join(folder, String(index));
    await writeFile(path.join(first.mountpoint, name), bytes);
    files.push({ name, sizeBytes, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  console.log(`${first.name}: ${files.length} files written`);
  return files;
}

async function startNode(work: string, number: number, children: ChildProcess[]): Promise<Node> {
  const name = `node-${number}`;
  const mountpoint = path.join(work, name, 'mnt');
  mkdirSync(mountpoint, { recursive: true });
  const log = path.join(work, name, 'log');
  const words = ['mount', metaUrlIn(work), mountpoint, '--read-write'];
  const options = {
    '--cache-dir': path.join(work, name, 'cache'),
    '--cache-group': 'quickstart',
    '--listen': '127.0.0.1:0',
    '--metrics': '127.0.0.1:0',
    '--heartbeat': '1',
    '--log': log,
  };
  const child = spawn(process.execPath, [PROGRAM, ...words, ...Object.entries(options).flat()], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const until = Date.now() + MOUNT_TIMEOUT_MS;
  while (!said.includes('is mounted at')) {
    if (child.exitCode !== null || Date.now() > until) {
      await stopChild(child);
      throw new Error(
        `${name} did not come up: ${said}\n${existsSync(log) ? readFileSync(log, 'utf8') : ''}`,
      );
    }
    await delay(50);
  }
  const metricsUrl = /metrics at (\S+)/.exec(said)?.[1] ?? '';
  console.log(`${name} is up at ${mountpoint}`);
  return { name, mountpoint, metricsUrl };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 25_000);
  await ended;
  clearTimeout(timer);
}

/** Waits until each node knows all of the group, so that each block has one owner. */
async function untilGrouped(nodes: readonly Node[]): Promise<void> {
  const until = Date.now() + GROUP_TIMEOUT_MS;
  for (const node of nodes) {
    while ((await metric(node, 'juicefs_remotecache_members')) < NODES) {
      if (Date.now() > until) throw new Error(`${node.name} does not see the whole group`);
      await delay(100);
    }
  }
}

async function readThroughAll(
  nodes: readonly Node[],
  files: readonly WrittenFile[],
): Promise<void> {
  const mib = (files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 2 ** 20).toFixed(0);
  for (const node of nodes) {
    const startedAt = performance.now();
    for (const { name, sha256 } of files) {
      const found = await sha256Of(path.join(node.mountpoint, name));
      if (found !== sha256) throw new Error(`${node.name}: ${name} has wrong bytes`);
    }
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(`${node.name}: ${files.length} files, ${mib} MiB, all bytes right, ${seconds} s`);
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

async function sourcesTable(nodes: readonly Node[]): Promise<string> {
  const table = new Table({
    style: { head: [], border: [] },
    head: ['KiB read from', 'memory', 'SSD', 'peers', 'origin'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
  });
  for (const node of nodes) {
    const cells = await Promise.all(
      ['memory', 'disk', 'peer', 'origin'].map(async (from) => {
        const main = await metric(node, 'juicefs_mesh_read_bytes_total', `from="${from}"`);
        const workers = await metric(
          node,
          'juicefs_fuse_worker_read_bytes_total',
          `from="${from}"`,
        );
        return ((main + workers) / 1024).toFixed(0);
      }),
    );
    table.push([node.name, ...cells]);
  }
  return table.toString();
}

/** Sum of the samples of a metric whose labels contain `label`; 0 when there is none. */
async function metric(node: Node, name: string, label = ''): Promise<number> {
  const text = await (await fetch(node.metricsUrl)).text();
  return text
    .split('\n')
    .filter(
      (line) =>
        line.startsWith(name) && /[{ ]/.test(line[name.length] ?? '') && line.includes(label),
    )
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

await main();
