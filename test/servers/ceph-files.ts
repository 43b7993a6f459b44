import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Where a one-node Ceph lives and which loopback ports it uses. */
export interface CephPlace {
  readonly dir: string;
  readonly monitorPort: number;
  readonly gatewayPort: number;
}

/** Path of the configuration file below a Ceph's folder. */
export const cephConfigPath = (place: CephPlace): string => join(place.dir, 'ceph.conf');

/** Path of the gateway's log, which has a line per request. */
export const gatewayLogPath = (place: CephPlace): string => join(place.dir, 'client.rgw.a.log');

/**
 * Writes the configuration, the keyring and the monitor map of a one-node Ceph.
 *
 * Nothing is replicated, nobody logs in between the daemons, and the one disk is a sparse file.
 */
export async function writeCephFiles(place: CephPlace): Promise<void> {
  const { dir, monitorPort } = place;
  for (const name of ['mon', 'osd', 'rgw', 'run']) await mkdir(join(dir, name));
  const fsid = randomUUID();
  await writeFile(cephConfigPath(place), cephConfig(place, fsid));
  const keyring = join(dir, 'keyring');
  await run('ceph-authtool', [
    ...[keyring, '--create-keyring', '--gen-key', '-n', 'mon.'],
    ...['--cap', 'mon', 'allow *'],
  ]);
  for (const name of ['client.admin', 'client.rgw.a']) {
    await run('ceph-authtool', [
      ...[keyring, '--gen-key', '-n', name],
      ...['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *'],
    ]);
  }
  const address = `[v1:127.0.0.1:${monitorPort}]`;
  const map = join(dir, 'monmap');
  await run('monmaptool', ['--create', '--clobber', '--fsid', fsid, '--addv', 'a', address, map]);
}

function cephConfig({ dir, monitorPort }: CephPlace, fsid: string): string {
  return `[global]
fsid = ${fsid}
mon host = [v1:127.0.0.1:${monitorPort}/0]
public addr = 127.0.0.1
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
keyring = ${dir}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail crit = 1
mon data avail warn = 2
run dir = ${dir}/run
log file = ${dir}/$name.log
log to stderr = false
admin socket = ${dir}/run/$name.asok
mon data = ${dir}/mon
osd data = ${dir}/osd
rgw data = ${dir}/rgw
osd objectstore = bluestore
bluestore block size = 4294967296
osd memory target = 939524096
# Level 1 writes the access log, from which tests count what the origin served.
debug rgw = 1
`;
}
