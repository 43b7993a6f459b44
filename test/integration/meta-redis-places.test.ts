import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT_CALLER } from '../../src/meta/caller.ts';
import { createMetaWriter } from '../../src/meta/create-writer.ts';
import type { WritableEngine } from '../../src/meta/writable-engine.ts';
import { ROOT_INO, toIno } from '../../src/posix/ino.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { memoryMetrics } from '../../src/runtime/metrics.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { expectEntries, expectListings } from '../contract/meta-engine-manifest.ts';
import { testEngine } from '../contract/meta-engine-options.ts';
import { runHere } from '../servers/cli-here.ts';
import { fixtureDir, loadFixture, type LoadedFixture } from '../servers/fixtures.ts';
import { freePort } from '../servers/free-port.ts';
import { startRedisCluster } from '../servers/redis-cluster.ts';
import { startRedisSentinel } from '../servers/redis-sentinel.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { makeTempDir } from '../servers/temp.ts';

const signal = new AbortController().signal;
const dumpPath = join(fixtureDir('acl'), 'dump.rdb');
const run = promisify(execFile);
const INFO = {
  Version: '1.4.1',
  HostName: 'host',
  MountPoint: '/mnt',
  MountTime: '2026-01-01T00:00:00Z',
  ProcessID: 1,
};

/** Attributes, which leave no trace in times, are set and removed by several transactions at once. */
async function expectWrites(engine: WritableEngine): Promise<void> {
  const context = { random: systemRandom, logger: silentLogger, metrics: memoryMetrics() };
  const options = { engine, clock: systemClock, ...context, sid: () => undefined };
  const writer = await createMetaWriter(options, signal);
  const call = { caller: ROOT_CALLER, signal };
  const names = ['user.one', 'user.two', 'user.three'].map((name) => Buffer.from(name));
  await Promise.all(
    names.map(async (name) => {
      await writer.setxattr(ROOT_INO, { name, value: name, how: 'create' }, call);
      const stored = await engine.getxattr(ROOT_INO, name, signal);
      expect(Buffer.from(stored ?? []).toString()).toBe(name.toString());
      await writer.removexattr(ROOT_INO, name, call);
      expect(await engine.getxattr(ROOT_INO, name, signal)).toBeUndefined();
    }),
  );
}

/** Commands that take or bring all keys of a volume. */
async function expectCommands(metaUrl: string): Promise<void> {
  const dir = await makeTempDir('commands');
  const origin = ['--storage', 'file', '--bucket', `${dir}/objects/`];
  const done = { status: 0, stderr: '' };
  expect(await runHere(['format', metaUrl, 'volume', ...origin])).toMatchObject(done);
  const dump = join(dir, 'dump.json');
  expect(await runHere(['dump', metaUrl, dump])).toMatchObject(done);
  const uuid = (await readFile(join(dir, 'objects/volume/juicefs_uuid'), 'utf8')).trim();
  const held = await runHere(['load', metaUrl, dump]);
  expect(held.stderr).toContain('holds the volume volume already');
  expect(await runHere(['destroy', metaUrl, uuid, '--yes'])).toMatchObject(done);
  expect(await runHere(['load', metaUrl, dump])).toMatchObject(done);
  const status = await runHere(['config', metaUrl]);
  expect(JSON.parse(status.stdout)).toMatchObject({ Name: 'volume', UUID: uuid });
}

describe('places where Redis can be', () => {
  let manifest: LoadedFixture['manifest'];
  beforeAll(async () => {
    const fixture = await loadFixture('acl');
    ({ manifest } = fixture);
    await fixture.stop();
  });

  /** Everything is found, sessions and attributes can be written. */
  const checkVolume = async (engine: WritableEngine): Promise<void> => {
    await engine.start();
    try {
      await expectEntries(engine, manifest);
      await expectListings(engine, manifest);
      const sid = await engine.openSession(INFO, signal);
      expect((await engine.listSessions(signal)).map((session) => session.sid)).toEqual([sid]);
      await expectWrites(engine);
      await engine.closeSession(sid, signal);
    } finally {
      await engine.stop();
    }
  };

  it('a Unix socket, with and without a database number', async () => {
    const redis = await startRedis({ dumpPath });
    await expect(
      checkVolume(testEngine(`unix://${redis.socketPath}?db=0`)),
    ).resolves.toBeUndefined();
    await expect(checkVolume(testEngine(`unix://${redis.socketPath}`))).resolves.toBeUndefined();
    await redis.stop();
  });

  it('another database', async () => {
    const redis = await startRedis({ dumpPath });
    await redis.command('SWAPDB', '0', '5');
    await expect(
      checkVolume(testEngine(`redis://127.0.0.1:${redis.port}/5`)),
    ).resolves.toBeUndefined();
    const empty = testEngine(`redis://127.0.0.1:${redis.port}/0`);
    await expect(empty.start()).rejects.toMatchObject({ code: 'no-volume' });
    const beyond = testEngine(`redis://127.0.0.1:${redis.port}/99`);
    await expect(beyond.start()).rejects.toMatchObject({ code: 'refused' });
    await redis.stop();
  });

  it('behind a password, from the URL or the environment', async () => {
    const redis = await startRedis({ dumpPath, password: 'p@ss/w:rd' });
    await expect(checkVolume(testEngine(redis.url))).resolves.toBeUndefined();
    const bare = `redis://127.0.0.1:${redis.port}/0`;
    await expect(
      checkVolume(testEngine(bare, { env: { REDIS_PASSWORD: 'p@ss/w:rd' } })),
    ).resolves.toBeUndefined();
    await expect(
      checkVolume(testEngine(bare, { env: { META_PASSWORD: 'p@ss/w:rd' } })),
    ).resolves.toBeUndefined();
    const path = join(redis.dir, 'password');
    await writeFile(path, ' p@ss/w:rd\n');
    await expect(
      checkVolume(testEngine(bare, { env: { META_PASSWORD_FILE: path } })),
    ).resolves.toBeUndefined();
    await expect(testEngine(bare).start()).rejects.toMatchObject({ code: 'refused' });
    const wrong = testEngine(`redis://:wrong@127.0.0.1:${redis.port}/0`);
    await expect(wrong.start()).rejects.toMatchObject({ code: 'refused' });
    await redis.stop();
  });

  it('with a user who may not run scripts', async () => {
    const redis = await startRedis({ dumpPath });
    await redis.command('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '+@all', '-@scripting');
    await expect(
      checkVolume(testEngine(`redis://reader:pw@127.0.0.1:${redis.port}/0`)),
    ).resolves.toBeUndefined();
    await redis.stop();
  });

  it('with one directory of a wrong type: its look-ups fail, those of others go by script', async () => {
    const redis = await startRedis({ dumpPath });
    const engine = testEngine(redis.url);
    const scripts = async () => {
      const stats = await redis.command('INFO', 'commandstats');
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    await engine.start();
    await redis.command('SET', 'd4242', 'no hash');
    const name = Buffer.from('any');
    const odd = engine.lookup(toIno(4242n), name, signal);
    await expect(odd).rejects.toMatchObject({ code: 'corrupt' });
    const before = await scripts();
    expect(await engine.lookup(ROOT_INO, name, signal)).toBeUndefined();
    expect(await scripts()).toBe(before + 1);
    await engine.stop();
    await redis.stop();
  });

  it('a server that forgets its scripts', async () => {
    const redis = await startRedis({ dumpPath });
    const engine = testEngine(redis.url);
    await engine.start();
    await expect(expectEntries(engine, manifest)).resolves.toBeUndefined();
    await redis.command('SCRIPT', 'FLUSH');
    await expect(expectEntries(engine, manifest)).resolves.toBeUndefined();
    await engine.stop();
    await redis.stop();
  });

  it('a primary that sentinels name, also after a fail-over', async () => {
    const sentinel = await startRedisSentinel({ dumpPath });
    await expect(checkVolume(testEngine(sentinel.url))).resolves.toBeUndefined();
    const engine = testEngine(sentinel.url);
    await engine.start();
    // Leaves a connection to the old primary behind.
    await expectWrites(engine);
    await sentinel.failOver();
    const port = await sentinel.primaryPort();
    const primary = new Redis({ port, host: '127.0.0.1' });
    // Only the new primary knows it: an answer without it would be a stale one.
    await primary.set('usedSpace', '123456');
    await expect.poll(async () => (await engine.usage(signal)).usedBytes).toBe(123_456n);
    await expectWrites(engine);
    const sid = await engine.openSession(INFO, signal);
    await engine.closeSession(sid, signal);
    primary.disconnect();
    await engine.stop();
    await sentinel.stop();
  });

  it('a cluster, named by all or by one of its members', async () => {
    const cluster = await startRedisCluster();
    const source = await startRedis({ dumpPath });
    await copyKeys(
      source,
      cluster.nodes.map(({ port }) => port),
      '{3}',
    );
    await expect(
      checkVolume(testEngine(cluster.url.replace(/\/0$/, '/3'))),
    ).resolves.toBeUndefined();
    for (const { port } of cluster.nodes) {
      await expect(checkVolume(testEngine(`redis://127.0.0.1:${port}/3`))).resolves.toBeUndefined();
    }
    const other = testEngine(cluster.url);
    await expect(other.start()).rejects.toMatchObject({ code: 'no-volume' });
    await source.stop();
    await expectCommands(cluster.url.replace(/\/0$/, '/5'));
    await cluster.stop();
  });

  describe('TLS', () => {
    let redis: RedisServer;
    let tlsPort: number;
    let ca: string;
    beforeAll(async () => {
      ({ redis, tlsPort, ca } = await startTls());
    });
    afterAll(async () => {
      await redis?.stop();
    });

    it('with a certificate that an authority of ours vouches for', async () => {
      await expect(
        checkVolume(testEngine(`rediss://127.0.0.1:${tlsPort}/0?tls-ca-cert-file=${ca}`)),
      ).resolves.toBeUndefined();
    });

    it('without verification', async () => {
      await expect(
        checkVolume(testEngine(`rediss://127.0.0.1:${tlsPort}/0?insecure-skip-verify=true`)),
      ).resolves.toBeUndefined();
    });

    it('not with a certificate that nobody vouches for', async () => {
      const engine = testEngine(`rediss://127.0.0.1:${tlsPort}/0`, { deadlineMs: 500 });
      await expect(engine.start()).rejects.toMatchObject({ code: 'unavailable' });
    });
  });
});

/** Copies all keys of database 0 into the cluster, where the tag puts them into one slot. */
async function copyKeys(source: RedisServer, ports: readonly number[], prefix: string) {
  const from = new Redis({ port: source.port, host: '127.0.0.1' });
  const to = new Cluster(ports.map((port) => ({ port, host: '127.0.0.1' })));
  for (const key of await from.keys('*')) {
    const dump = (await from.dumpBuffer(key)) as Buffer;
    await to.restore(`${prefix}${key}`, 0, dump);
  }
  from.disconnect();
  to.disconnect();
}

async function startTls(): Promise<{ redis: RedisServer; tlsPort: number; ca: string }> {
  const dir = await makeTempDir('tls');
  const [key, ca] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-keyout', key, '-out', ca, '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
  ]);
  const tlsPort = await freePort();
  const redis = await startRedis({
    dumpPath,
    args: [
      ...['--tls-port', String(tlsPort), '--tls-cert-file', ca, '--tls-key-file', key],
      ...['--tls-ca-cert-file', ca, '--tls-auth-clients', 'no'],
    ],
  });
  return { redis, tlsPort, ca };
}
