import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { runProgram } from '../run-program.ts';

/** The programs that tests start, and the Debian package that brings each. */
const PACKAGE_OF_PROGRAM: Readonly<Record<string, string>> = {
  'redis-server': 'redis-server',
  'redis-cli': 'redis-tools',
  fusermount3: 'fuse3',
  'ceph-mon': 'ceph-mon',
  'ceph-osd': 'ceph-osd',
  ceph: 'ceph-common',
  radosgw: 'radosgw',
  ip: 'iproute2',
  'mkfs.xfs': 'xfsprogs',
  'mkfs.ext4': 'e2fsprogs',
  setfattr: 'attr',
  setfacl: 'acl',
};

/** Debian asks this program whether it may start the services of a package that it installs. */
const POLICY_PATH = '/usr/sbin/policy-rc.d';

/**
 * Installs the Debian packages of missing programs, if we are root on a Debian-like system. What
 * cannot be installed is only named here: the tests that need it fail with their own message.
 */
export async function installMissingPackages(): Promise<void> {
  const missing = Object.keys(PACKAGE_OF_PROGRAM).filter((program) => !isInstalled(program));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !isInstalled('apt-get')) {
    console.log(`missing programs, and no way to install them here: ${missing.join(', ')}`);
    return;
  }
  const packages = [...new Set(missing.map((program) => PACKAGE_OF_PROGRAM[program] ?? program))];
  console.log(`installing: ${packages.join(', ')}`);
  await withServicesKeptOff(async () => {
    await aptGet('update');
    await aptGet('install', '--yes', '--no-install-recommends', ...packages);
  });
}

function isInstalled(program: string): boolean {
  const folders = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`.split(delimiter);
  return folders.some((folder) => existsSync(join(folder, program)));
}

async function aptGet(...args: readonly string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const { code, stdout, stderr } = await runProgram(['apt-get', '-qq', ...args], { env });
  if (code !== 0) console.log(`apt-get ${args[0]} failed:\n${stdout}${stderr}`);
}

/** A Redis on the default port is not ours to leave running on somebody's machine. */
async function withServicesKeptOff(work: () => Promise<void>): Promise<void> {
  if (existsSync(POLICY_PATH)) return work();
  await writeFile(POLICY_PATH, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await work();
  } finally {
    await rm(POLICY_PATH, { force: true });
  }
}
