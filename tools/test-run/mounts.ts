import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** One line of /proc/self/mountinfo. */
export interface Mount {
  readonly mountPoint: string;
  readonly fsType: string;
  readonly source: string;
  /** Minor device number, which is the name of a FUSE connection in /sys/fs/fuse/connections. */
  readonly minor: string;
}

/** All mounts that this process sees. */
export async function readMounts(): Promise<Mount[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const [place = '', origin = ''] = line.split(' - ');
    const [, , device = '', , mountPoint = ''] = place.split(' ');
    const [fsType = '', source = ''] = origin.split(' ');
    return {
      mountPoint: unescapeOctal(mountPoint),
      fsType,
      source: unescapeOctal(source),
      minor: device.replace(/^.*:/, ''),
    };
  });
}

/**
 * Takes a mount away even when its daemon is gone or hangs: aborts the connection, so that waiting
 * programs get an error, and detaches the mount.
 */
export async function forceUnmount(mount: Mount): Promise<void> {
  if (mount.fsType.startsWith('fuse')) {
    // The connection may be gone already, which is just as good.
    await writeFile(`/sys/fs/fuse/connections/${mount.minor}/abort`, '1').catch(() => undefined);
  }
  await run('umount', ['-l', mount.mountPoint]).catch(async (error) => {
    const still = (await readMounts()).some(({ mountPoint }) => mountPoint === mount.mountPoint);
    if (still) console.log(`cannot unmount ${mount.mountPoint}: ${String(error)}`);
  });
}

/** Blanks and the like are written as `\040`. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
