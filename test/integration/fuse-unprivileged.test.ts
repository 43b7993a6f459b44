import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { cannotMount, clearMountpoint, makeMountpoint, shell } from './fuse-mount.ts';

const DAEMON = fileURLToPath(new URL('./fuse-daemon.ts', import.meta.url));
const NOBODY = 65_534;
const TOOLS = ['/usr/bin/fusermount3', '/usr/bin/setpriv', '/usr/bin/unshare'];

/**
 * Runs in a mount namespace of its own, with a device that everybody may open (which not every
 * machine has): a daemon of `nobody`, and readers.
 */
const SCRIPT = `set -e
mknod $1/fuse c 10 229; chmod 666 $1/fuse; mount --bind $1/fuse /dev/fuse
user="setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups"
mkfifo $1/say; $user $2 $3 $4 < $1/say > $1/log & exec 3> $1/say
for n in $(seq 1000); do grep -q mounted $1/log && break; sleep 0.05; done
echo "nobody: $($user cat $4/text)"
echo "root: $(cat $4/text 2>&1)"
grep " $4 " /proc/self/mountinfo
echo exit >&3; wait; grep " $4 " /proc/self/mountinfo || echo unmounted
`;

describe.skipIf(cannotMount ?? TOOLS.some((tool) => !existsSync(tool)))('without root', () => {
  it('mounts through fusermount3, for the user alone, and unmounts', async () => {
    const mountpoint = await makeMountpoint();
    await chown(mountpoint, NOBODY, NOBODY);
    const folder = await mkdtemp(
      join(tmpdir(), `cachemesh-${process.env['CACHEMESH_TEST_RUN']}-dev-`),
    );
    const script = join(folder, 'script');
    await writeFile(script, SCRIPT);
    const command = ['unshare', '-m', 'sh', script, folder, process.execPath, DAEMON, mountpoint];
    const lines = (await shell(command, 100_000)).toString().split('\n');
    expect(lines[0]).toBe('nobody: alive');
    expect(lines[1]).toMatch(/^root: .*Permission denied$/);
    expect(lines[2]).toMatch(/nosuid,nodev.* fuse.cachemesh cachemesh:child .*user_id=65534/);
    expect(lines[3]).toBe('unmounted');
    await clearMountpoint(mountpoint);
    await rm(folder, { recursive: true });
  });
});
