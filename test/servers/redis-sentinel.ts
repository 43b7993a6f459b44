import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import { startServer } from './server-process.ts';
import { makeTempDir } from './temp.ts';
import { waitUntil } from './wait-until.ts';

const run = promisify(execFile);

/** A primary and a replica, watched by one sentinel. */
export interface RedisSentinel {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  readonly sentinelPort: number;
  /** As a volume's metadata URL: `redis://cachemesh,127.0.0.1:SENTINEL/0`. */
  readonly url: string;
  /** The port of the server that the sentinel calls the primary at this moment. */
  primaryPort(): Promise<number>;
  /** Makes the replica the primary and waits until the sentinel says so. */
  failOver(): Promise<void>;
  stop(): Promise<void>;
}

const GROUP = 'cachemesh';

/**
 * Starts the three servers and waits until the sentinel knows the replica.
 *
 * @param options - dump and further settings of the primary
 */
export async function startRedisSentinel(
  options: Pick<RedisOptions, 'dumpPath'> = {},
): Promise<RedisSentinel> {
  const primary = await startRedis(options);
  const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] });
  const sentinelPort = await freePort();
  const sentinel = await launchSentinel(sentinelPort, primary.port);
  const ask = async (...words: readonly string[]): Promise<string> => {
    const { stdout } = await run('redis-cli', ['-p', String(sentinelPort), 'SENTINEL', ...words]);
    return stdout;
  };
  const primaryPort = async () =>
    Number((await ask('get-master-addr-by-name', GROUP)).split('\n')[1]);
  await waitUntil('the sentinel to know the replica', async () =>
    (await ask('replicas', GROUP)).includes('master-link-status\nok'),
  );
  return {
    primary,
    replica,
    sentinelPort,
    url: `redis://${GROUP},127.0.0.1:${sentinelPort}/0`,
    primaryPort,
    failOver: async () => {
      const before = await primaryPort();
      await ask('failover', GROUP);
      await waitUntil('another primary', async () => (await primaryPort()) !== before, 60_000);
    },
    stop: async () => {
      await sentinel.stop();
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}

async function launchSentinel(port: number, primaryPort: number) {
  const dir = await makeTempDir('sentinel');
  const configPath = join(dir, 'sentinel.conf');
  await writeFile(
    configPath,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${dir}`,
      `sentinel monitor ${GROUP} 127.0.0.1 ${primaryPort} 1`,
      `sentinel down-after-milliseconds ${GROUP} 1000`,
      `sentinel failover-timeout ${GROUP} 10000`,
      '',
    ].join('\n'),
  );
  return startServer(['redis-server', configPath, '--sentinel'], {
    logPath: join(dir, 'sentinel.log'),
    cwd: dir,
  });
}
