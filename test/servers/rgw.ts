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

/** A machine that is busy with other things takes its time. */
const START_TIMEOUT_MS = 60_000;
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
  await run('ceph-mon', [
    ...['--mkfs', '-i', 'a', '--monmap', join(dir, 'monmap')],
    ...['--keyring', join(dir, 'keyring'), ...config],
  ]);
  return startDaemon(place, ['ceph-mon', '-f', '-i', 'a', ...config]);
}

async function startDisk(place: CephPlace): Promise<ServerProcess> {
  const config = ['-c', cephConfigPath(place)];
  const uuid = randomUUID();
  const { stdout } = await run('ceph', [...config, 'osd', 'new', uuid]);
  const id = stdout.trim();
  await run('ceph-osd', ['-i', id, '--mkfs', '--osd-uuid', uuid, ...config]);
  const daemon = await startDaemon(place, ['ceph-osd', '-f', '-i', id, ...config]);
  const isUp = async () => (await run('ceph', [...config, 'osd', 'stat'])).stdout.includes('1 up');
  await waitUntil('the Ceph disk', isUp, START_TIMEOUT_MS);
  return daemon;
}

async function startGateway(place: CephPlace): Promise<ServerProcess> {
  const config = ['-c', cephConfigPath(place), '-n', 'client.rgw.a'];
  await run('radosgw-admin', [
    ...[...config, 'user', 'create', '--uid=test', '--display-name=test'],
    ...[`--access-key=${ACCESS_KEY}`, `--secret-key=${SECRET_KEY}`],
  ]);
  const frontend = `--rgw-frontends=beast endpoint=127.0.0.1:${place.gatewayPort}`;
  const daemon = await startDaemon(place, ['radosgw', '-f', ...config, frontend]);
  const answers = async () => {
    const answer = await fetch(`http://127.0.0.1:${place.gatewayPort}`);
    await answer.arrayBuffer();
    return answer.ok;
  };
  await waitUntil('the object gateway', answers, START_TIMEOUT_MS);
  return daemon;
}

function startDaemon(
  place: CephPlace,
  command: readonly [string, ...string[]],
): Promise<ServerProcess> {
  const logPath = join(place.dir, `${command[0]}.out`);
  return startServer(command, { logPath, cwd: place.dir });
}
