import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type CephPlace, cephConfigPath, gatewayLogPath, writeCephFiles } from './ceph-files.ts';
import { freePorts } from './free-port.ts';
import { type GatewayRequest, readGatewayLog } from './gateway-log.ts';
import { type ServerProcess, startServer } from './server-process.ts';
import { makeTempDir } from './temp.ts';
import { waitUntil } from './wait-until.ts';

const run = promisify(execFile);

/** What is needed to speak to a running object gateway; plain data, so that it can be shared. */
export interface RgwAddress extends CephPlace {
  /** `http://127.0.0.1:PORT`; buckets are the first part of the path. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A running object gateway. */
export interface Rgw {
  readonly address: RgwAddress;
  /** Stops all daemons and removes their files. */
  stop(): Promise<void>;
}

/** GET requests that the origin answered with a body. */
export interface BytesServed {
  readonly requests: number;
  readonly bytes: number;
}

/** A machine that is busy with other things takes its time: for one step of the start… */
const START_TIMEOUT_MS = 120_000;
/** …and for one question, which is then asked again. */
const CALL_MS = 60_000;
/** A disk that speaks to the monitor before it has its map ends with "wrong fsid": half of the starts. */
const DISK_STARTS = 12;
const ACCESS_KEY = 'test';
const SECRET_KEY = 'testsecret';

/**
 * Starts a one-node Ceph with an S3 gateway on loopback; it takes some 15 seconds. Most tests want
 * `sharedRgw` instead.
 *
 * @throws Error when a Ceph program is missing or does not come up
 */
export async function startRgw(): Promise<Rgw> {
  const [monitorPort = 0, gatewayPort = 0] = await freePorts(2);
  const place: CephPlace = { dir: await makeTempDir('rgw'), monitorPort, gatewayPort };
  const daemons: ServerProcess[] = [];
  const stop = async () => {
    for (const daemon of daemons) await daemon.stop();
    await rm(place.dir, { recursive: true, force: true });
  };
  try {
    await writeCephFiles(place);
    // In front, so that each is stopped before the one that it needs.
    daemons.unshift(await startMonitor(place));
    daemons.unshift(await startDisk(place));
    daemons.unshift(await startGateway(place));
  } catch (error) {
    await stop();
    throw error;
  }
  const endpoint = `http://127.0.0.1:${gatewayPort}`;
  const address = { ...place, endpoint, accessKey: ACCESS_KEY, secretKey: SECRET_KEY };
  return { address, stop };
}

/**
 * All requests that the gateway has answered so far, from its own log. A marked request is sent
 * first and awaited in the log, so that everything answered before is in the result.
 */
export async function requestsServed(rgw: RgwAddress): Promise<GatewayRequest[]> {
  const marker = `/marker-${randomUUID()}`;
  await (await fetch(`${rgw.endpoint}${marker}`)).arrayBuffer();
  let requests: GatewayRequest[] = [];
  await waitUntil('the marker in the gateway log', async () => {
    requests = await readGatewayLog(gatewayLogPath(rgw));
    return requests.some(({ path }) => path === marker);
  });
  return requests.filter(({ path }) => !path.startsWith('/marker-'));
}

/**
 * Counts what the gateway sent in answer to successful GET requests of objects.
 *
 * @param bucketPrefix - bucket name, or bucket and first part of the key: `vol` or `vol/chunks/`
 */
export async function getBytesServed(rgw: RgwAddress, bucketPrefix: string): Promise<BytesServed> {
  const served = (await requestsServed(rgw)).filter(
    ({ method, path, status }) =>
      method === 'GET' &&
      status < 300 &&
      path.startsWith(`/${bucketPrefix}`) &&
      // A path without a key lists the bucket.
      /^\/[^/]+\/./.test(path),
  );
  return {
    requests: served.length,
    bytes: served.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
  };
}

async function startMonitor(place: CephPlace): Promise<ServerProcess> {
  const { dir } = place;
  const config = ['-c', cephConfigPath(place)];
  await call('ceph-mon', [
    ...['--mkfs', '-i', 'a', '--monmap', join(dir, 'monmap')],
    ...['--keyring', join(dir, 'keyring'), ...config],
  ]);
  const daemon = await startDaemon(place, ['ceph-mon', '-f', '-i', 'a', ...config]);
  await untilUp(daemon, 'the Ceph monitor', () => call('ceph', [...config, 'mon', 'stat']));
  return daemon;
}

async function startDisk(place: CephPlace): Promise<ServerProcess> {
  const config = ['-c', cephConfigPath(place)];
  const uuid = randomUUID();
  // The same answer each time it is asked.
  const id = (
    await insist('a disk number', () => call('ceph', [...config, 'osd', 'new', uuid]))
  ).trim();
  await call('ceph-osd', ['-i', id, '--mkfs', '--osd-uuid', uuid, ...config]);
  for (let attempt = 1; ; attempt += 1) {
    const daemon = await startDaemon(place, ['ceph-osd', '-f', '-i', id, ...config]);
    try {
      await untilUp(daemon, 'the Ceph disk', async () => {
        const stat = await call('ceph', [...config, 'osd', 'stat']);
        if (!stat.includes('1 up')) throw new Error(stat);
      });
      return daemon;
    } catch (error) {
      await daemon.stop();
      if (attempt === DISK_STARTS) throw error;
    }
  }
}

async function startGateway(place: CephPlace): Promise<ServerProcess> {
  const config = ['-c', cephConfigPath(place), '-n', 'client.rgw.a'];
  await insist('the user of the gateway', () => makeUser(config));
  const endpoint = `127.0.0.1:${place.gatewayPort}`;
  const frontend = `--rgw-frontends=beast endpoint=${endpoint}`;
  const daemon = await startDaemon(place, ['radosgw', '-f', ...config, frontend]);
  await untilUp(daemon, 'the object gateway', async () => {
    // One that accepts and says nothing must not be waited for beyond the deadline.
    const answer = await fetch(`http://${endpoint}`, { signal: AbortSignal.timeout(CALL_MS) });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  });
  return daemon;
}

/** One that was made by an attempt that was given up is found. */
async function makeUser(config: readonly string[]): Promise<string> {
  const user = ['--uid=test', '--display-name=test'];
  const keys = [`--access-key=${ACCESS_KEY}`, `--secret-key=${SECRET_KEY}`];
  const create = call('radosgw-admin', [...config, 'user', 'create', ...user, ...keys]);
  return create.catch(() => call('radosgw-admin', [...config, 'user', 'info', '--uid=test']));
}

/** Runs a program that ends by itself; one that hangs is ended. @returns what it printed */
async function call(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { timeout: CALL_MS, killSignal: 'SIGKILL' });
  return stdout;
}

/** Repeats what a server that has just started may fail to answer. */
async function insist<T>(what: string, ask: () => Promise<T>): Promise<T> {
  const answers: T[] = [];
  const isAnswered = async () => answers.push(await ask()) > 0;
  await waitUntil(what, isAnswered, START_TIMEOUT_MS);
  return answers[0] as T;
}

/** Waits until a daemon answers. @throws Error with its output as soon as it has ended */
async function untilUp(
  daemon: ServerProcess,
  what: string,
  ask: () => Promise<unknown>,
): Promise<void> {
  await insist(what, async () => {
    if (daemon.ended() === undefined) await ask();
  });
  if (daemon.ended() !== undefined) throw new Error(`${what} ended: ${daemon.output()}`);
}

function startDaemon(
  place: CephPlace,
  command: readonly [string, ...string[]],
): Promise<ServerProcess> {
  const logPath = join(place.dir, `${command[0]}.out`);
  return startServer(command, { logPath, cwd: place.dir });
}
