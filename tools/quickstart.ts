/**
 * The main job, end to end, on nothing but this repository: a small JuiceFS volume (SQLite and a
 * local directory), three nodes of one cache group with a mount each, every file read through every
 * node and compared, and a table of where the bytes came from.
 *
 *   npm run quickstart              stays up until Ctrl-C
 *   npm run quickstart -- --once    cleans up at once
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Table from 'cli-table3';

interface ManifestEntry {
  readonly path?: string;
  readonly path_b64: string;
  readonly type: string;
  readonly size: number;
  readonly sha256?: string;
}

interface Node {
  readonly name: string;
  readonly mountpoint: string;
  readonly metricsUrl: string;
  readonly child: ChildProcess;
}

const ROOT = path.resolve(import.meta.dirname, '..');
const VOLUME = path.join(ROOT, 'test', 'fixtures', 'sqlite');
const NODES = 3;
const MOUNT_TIMEOUT_MS = 30_000;
const GROUP_TIMEOUT_MS = 20_000;

async function main(): Promise<void> {
  refuseWhereItCannotWork();
  const work = mkdtempSync(path.join(tmpdir(), 'cachemesh-quickstart-'));
  const nodes: Node[] = [];
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  try {
    cpSync(VOLUME, path.join(work, 'volume'), { recursive: true });
    for (let number = 1; number <= NODES; number += 1) nodes.push(await startNode(work, number));
    await untilGrouped(nodes);
    await readThroughAll(work, nodes);
    console.log(await sourcesTable(nodes));
    if (!process.argv.includes('--once')) {
      console.log(`\nThe mounts stay until Ctrl-C. Try: ls ${nodes[0]?.mountpoint}`);
      await stopped;
    }
  } finally {
    await Promise.all(nodes.map(({ child }) => stopChild(child)));
    rmSync(work, { recursive: true, force: true });
  }
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
  if (!existsSync(VOLUME)) refuse(`the sample volume is missing: ${VOLUME}`);
}

async function startNode(work: string, number: number): Promise<Node> {
  const name = `node-${number}`;
  const mountpoint = path.join(work, name, 'mnt');
  mkdirSync(mountpoint, { recursive: true });
  const log = path.join(work, name, 'log');
  const words = ['mount', `sqlite3://${path.join(work, 'volume', 'meta.db')}`, mountpoint];
  const options = {
    '--bucket': `${path.join(work, 'volume', 'objects')}/`,
    '--cache-dir': path.join(work, name, 'cache'),
    '--cache-group': 'quickstart',
    '--listen': '127.0.0.1:0',
    '--metrics': '127.0.0.1:0',
    '--heartbeat': '1',
    '--log': log,
  };
  const child = spawn(
    process.execPath,
    [path.join(ROOT, 'src', 'daemon', 'main.ts'), ...words, ...Object.entries(options).flat()],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
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
  return { name, mountpoint, metricsUrl, child };
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

async function readThroughAll(work: string, nodes: readonly Node[]): Promise<void> {
  const manifest = JSON.parse(readFileSync(path.join(work, 'volume', 'manifest.json'), 'utf8')) as {
    entries: ManifestEntry[];
  };
  const files = manifest.entries.filter(({ type }) => type === 'file');
  for (const node of nodes) {
    const startedAt = performance.now();
    let bytes = 0;
    for (const file of files) {
      const name = Buffer.from(file.path_b64, 'base64');
      const full = Buffer.concat([Buffer.from(`${node.mountpoint}/`), name]);
      const found = await sha256Of(full);
      if (found !== file.sha256) throw new Error(`${node.name}: ${String(name)} has wrong bytes`);
      bytes += file.size;
    }
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    const mib = (bytes / 2 ** 20).toFixed(0);
    console.log(`${node.name}: ${files.length} files, ${mib} MiB, all bytes right, ${seconds} s`);
  }
}

async function sha256Of(file: Buffer): Promise<string> {
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
