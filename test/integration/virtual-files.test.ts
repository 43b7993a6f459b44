import { spawn } from 'node:child_process';
import { access, constants, open, readdir, readFile, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { folderBucket } from '../servers/buckets.ts';
import { runToEnd } from '../servers/cli.ts';
import { startGroup, type TestDaemon } from '../servers/daemons.ts';
import {
  makeSyntheticVolume,
  type SyntheticFile,
  type SyntheticVolume,
} from '../servers/synthetic-volume.ts';

const MIB = 2 ** 20;
let volume: SyntheticVolume;
let nodes: TestDaemon[] = [];
let file: SyntheticFile;

const hasJuicefs = await isOnPath('juicefs');
const mnt = () => (nodes[0] as TestDaemon).mountpoint;

beforeAll(async () => {
  const bucket = await folderBucket();
  volume = await makeSyntheticVolume({ bucket, setting: { SecretKey: '', SessionToken: '' } });
  file = await volume.addFile('dir/file', 65 * MIB);
  await volume.addFile('dir/deep/small', 100);
  await volume.addFile('other', 5);
  nodes = await startGroup(2, { metaUrl: volume.metaUrl });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.stop()));
  await volume?.stop();
});

async function isOnPath(program: string): Promise<boolean> {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      await access(join(dir, program), constants.X_OK);
      return true;
    } catch {
      // Not in this directory.
    }
  }
  return false;
}

/** Writes a request and gives what is read behind it, up to `until`. */
async function control(request: Buffer, until: (answer: Buffer) => boolean): Promise<Buffer> {
  const channel = await open(join(mnt(), 'dir', '.control'), 'r+');
  try {
    await channel.write(request);
    let answer = Buffer.alloc(0);
    for (let tries = 0; tries < 3000 && !until(answer); tries += 1) {
      const { bytesRead, buffer } = await channel.read(Buffer.alloc(2 ** 17));
      answer = Buffer.concat([answer, buffer.subarray(0, bytesRead)]);
      if (bytesRead === 0) await sleep(10);
    }
    return answer;
  } finally {
    await channel.close();
  }
}

function message(command: number, ...body: (number | bigint | Buffer)[]): Buffer {
  const parts = body.map((part) => {
    if (Buffer.isBuffer(part)) return part;
    const bytes = Buffer.alloc(typeof part === 'bigint' ? 8 : 1);
    if (typeof part === 'bigint') bytes.writeBigUInt64BE(part);
    else bytes.writeUInt8(part);
    return bytes;
  });
  const all = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(command, 0);
  head.writeUInt32BE(all.byteLength, 4);
  return Buffer.concat([head, all]);
}

describe('the virtual files', () => {
  test('are listed in the root, .control excepted, and are what JuiceFS makes them', async () => {
    const names = await readdir(mnt());
    expect(names.toSorted()).toEqual(
      ['.accesslog', '.config', '.stats', '.trash', 'dir', 'other'].toSorted(),
    );
    const modes = { '.accesslog': 0o400, '.control': 0o666, '.stats': 0o444, '.config': 0o400 };
    for (const [name, mode] of Object.entries(modes)) {
      expect((await stat(join(mnt(), name))).mode & 0o777).toBe(mode);
    }
    expect(await readdir(join(mnt(), 'dir'))).not.toContain('.control');
  });

  test('.stats has a number on each line, under the names that tools read', async () => {
    const text = await readFile(join(mnt(), '.stats'), 'utf8');
    const lines = text.trim().split('\n');
    expect(lines.filter((line) => !/^juicefs_\w+ -?[\d.e+-]+$/.test(line))).toEqual([]);
    const names = lines.map((line) => line.split(' ')[0]);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining([
        'juicefs_cpu_usage',
        'juicefs_memory',
        'juicefs_used_buffer_size_bytes',
        'juicefs_fuse_ops_durations_histogram_seconds_total',
        'juicefs_fuse_read_size_bytes_sum',
        'juicefs_meta_ops_durations_histogram_seconds_sum',
        'juicefs_blockcache_hit_bytes',
        'juicefs_object_request_durations_histogram_seconds_GET_total',
      ]),
    );
  });

  test('.config is JSON without secrets', async () => {
    const text = await readFile(join(mnt(), '.config'), 'utf8');
    const config = JSON.parse(text) as Record<string, Record<string, unknown>>;
    expect(config['Format']).toMatchObject({ Name: 'synthetic' });
    expect(config['Mountpoint']).toBe(mnt());
    expect(config['Pid']).toBeGreaterThan(0);
    expect((await stat(join(mnt(), '.config'))).size).toBe(Buffer.byteLength(text));
  });

  test('.accesslog shows what is done while it is open, reads of cached data too', async () => {
    await readFile(join(mnt(), 'other'));
    const log = await open(join(mnt(), '.accesslog'));
    const reading = log.read(Buffer.alloc(2 ** 16));
    await readFile(join(mnt(), 'other'));
    const { bytesRead, buffer } = await reading;
    const lines = buffer.subarray(0, bytesRead).toString().trim().split('\n');
    const shape =
      /^\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d{6} \[uid:\d+,gid:\d+,pid:\d+\] \w+ \(.*\).* - .+ <\d+\.\d{6}>$/;
    expect(lines.filter((line) => !shape.test(line))).toEqual([]);
    expect(lines.some((line) => line.includes('] open ('))).toBe(true);
    // Nothing happens: a line that says so comes after a second.
    const quiet = await log.read(Buffer.alloc(100));
    expect(quiet.buffer.subarray(0, quiet.bytesRead).toString()).toMatch(/^#\n$|\] release /);
    await log.close();
  });

  test('a read of .accesslog can be interrupted', async () => {
    const reader = spawn('cat', [join(mnt(), '.accesslog')], { stdio: 'ignore' });
    await sleep(300);
    const ended = new Promise((resolve) => reader.once('exit', (_, signal) => resolve(signal)));
    reader.kill('SIGINT');
    // By itself it would go on for ever.
    expect(await ended).toBe('SIGINT');
  });

  test('nothing but .control can be opened for writing', async () => {
    for (const name of ['.stats', '.config', '.accesslog', 'other', '.trash/x']) {
      await expect(open(join(mnt(), name), 'r+')).rejects.toMatchObject({
        code: name === '.trash/x' ? 'ENOENT' : 'EROFS',
      });
    }
  });
});

describe('the answers of .control', () => {
  test('info: progress, if any, then JSON', async () => {
    const request = message(1005, BigInt(file.ino), 0, 0, 0);
    const answer = await control(request, (bytes) => bytes.includes('RestoreStatus'));
    const at = answer.indexOf(0xff);
    expect(at % 17).toBe(0);
    expect(answer.readUInt32BE(at + 1)).toBe(answer.byteLength - at - 5);
    const report = JSON.parse(answer.subarray(at + 5).toString()) as Record<string, unknown>;
    expect(report).toMatchObject({
      Ino: file.ino,
      Failed: false,
      Summary: { Files: 1, Dirs: 0, Length: 65 * MIB, Size: 65 * MIB },
      Paths: ['/dir/file'],
    });
    expect(report['Objects']).toHaveLength(17);
  });

  test.each([
    ['rmr', message(1002, 1n, 5, Buffer.from('other')), 30],
    ['clone', message(1006, 1n, 1n, 1n, 1, Buffer.from('x'), 0, 0, 0), 30],
    ['compact', message(1008, 1n, 0, 1), 30],
    ['an unknown command', message(4711), 22],
    ['too long a body', Buffer.concat([message(1005, 1n), Buffer.from('x')]), 5],
    ['a body that is none', message(1004, 1), 22],
  ])('%s gets an error number, at once', async (_, request, errno) => {
    const answer = await control(request, (bytes) => bytes.byteLength > 0);
    expect([...answer]).toEqual([errno]);
  });

  test('a request may come in pieces', async () => {
    const channel = await open(join(mnt(), '.control'), 'r+');
    const request = message(4711);
    await channel.write(request.subarray(0, 3));
    expect((await channel.read(Buffer.alloc(10))).bytesRead).toBe(0);
    await channel.write(request.subarray(3));
    const next = async () => {
      const { bytesRead, buffer } = await channel.read(Buffer.alloc(10));
      return [...buffer.subarray(0, bytesRead)];
    };
    await expect.poll(next).not.toEqual([]);
    // From the beginning the stream shows the request, too.
    const whole = await channel.read(Buffer.alloc(100), 0, 100, 0);
    expect([...whole.buffer.subarray(0, whole.bytesRead)]).toEqual([...request, 22]);
    await channel.close();
  });
});

// Skipped where the stock client is not on the PATH.
describe.skipIf(!hasJuicefs)('the stock juicefs', () => {
  const juicefs = async (...words: string[]) => {
    const { status, stdout, stderr } = await runToEnd(['juicefs', '--no-color', ...words]);
    return { status, output: stdout + stderr };
  };

  test('info of a file, of its slices, and of a directory', async () => {
    const path = join(mnt(), 'dir', 'file');
    const plain = await juicefs('info', path);
    expect(plain).toMatchObject({ status: 0 });
    expect(plain.output).toContain(`inode: ${file.ino}`);
    expect(plain.output).toContain('path: /dir/file');
    expect(plain.output).toContain('synthetic/chunks/0/0/1_0_4194304');
    const raw = await juicefs('info', '--raw', path);
    expect(raw.output).toContain('sliceId');
    const tree = await juicefs('info', '-r', join(mnt(), 'dir'));
    expect(tree.output).toMatch(/files: 2/);
    expect(tree.output).toMatch(/dirs: 2/);
  });

  test('warmup, warmup --check and warmup --evict', async () => {
    const path = join(mnt(), 'dir');
    const cold = await juicefs('warmup', '--check', path);
    expect(cold.output).toContain('(0.0%) cached');
    const warm = await juicefs('warmup', path);
    expect(warm).toMatchObject({ status: 0 });
    expect(warm.output).toMatch(/2 files \(65 MiB bytes\)/);
    const checked = await juicefs('warmup', '--check', path);
    expect(checked.output).toContain('(100.0%) cached');
    const evicted = await juicefs('warmup', '--evict', path);
    expect(evicted).toMatchObject({ status: 0 });
    expect((await juicefs('warmup', '--check', path)).output).toContain('(0.0%) cached');
    const back = await juicefs('warmup', '--background', path);
    expect(back).toMatchObject({ status: 0 });
  });

  test('stats', async () => {
    const shown = await juicefs('stats', '-c', '2', mnt());
    expect(shown).toMatchObject({ status: 0, output: expect.stringContaining('usage') });
  });

  test('profile', async () => {
    const child = spawn('juicefs', ['--no-color', 'profile', '--interval', '1', mnt()], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    for (
      let tries = 0;
      tries < 40 && !/\n(lookup|getattr|readdir)\s+\d+/.test(output);
      tries += 1
    ) {
      await readdir(mnt());
      await stat(join(mnt(), 'dir', 'file'));
      await sleep(250);
    }
    child.kill('SIGKILL');
    expect(output).toMatch(/\n(lookup|getattr|readdir)\s+\d+/);
  });

  test('what changes the volume is refused', async () => {
    const { output } = await juicefs('rmr', join(mnt(), 'other'));
    expect(output).toContain('read-only file system');
    expect(await readdir(mnt())).toContain('other');
  });
});
