import { chmod, chown, mkdir, rmdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ControlServer, controlSocketPath, expectOwn } from '../../src/daemon/control-socket.ts';
import { silentLogger } from '../../src/runtime/logger.ts';
import { makeTempDir } from '../servers/temp.ts';

describe('the folder of control sockets', () => {
  const folder = async () => {
    const dir = join(await makeTempDir('control'), 'sockets');
    await mkdir(dir, { mode: 0o700 });
    return dir;
  };

  test('is taken when it is ours, or not there yet', async () => {
    const dir = await folder();
    expect(() => expectOwn(dir)).not.toThrow();
    expect(() => expectOwn(`${dir}-not-there`)).not.toThrow();
  });

  test.each([0o770, 0o707, 0o777])('is refused with mode %o', async (mode) => {
    const dir = await folder();
    await chmod(dir, mode);
    expect(() => expectOwn(dir)).toThrow(/can be written to by others/);
  });

  test('is refused when it is a link, also to a folder of ours', async () => {
    const dir = await folder();
    await symlink(dir, `${dir}-link`);
    expect(() => expectOwn(`${dir}-link`)).toThrow(/not a folder of this user/);
  });

  test.skipIf(process.getuid?.() !== 0)('is refused when another user made it', async () => {
    const dir = await folder();
    await chown(dir, 65_534, 65_534);
    expect(() => expectOwn(dir)).toThrow(/not a folder of this user/);
  });
});

test('a socket that cannot be made costs no mount', async () => {
  const mountpoint = await makeTempDir('control');
  const socket = controlSocketPath(mountpoint);
  await mkdir(socket, { recursive: true });
  const warnings: unknown[] = [];
  const logger = { ...silentLogger, warn: (fields: object) => void warnings.push(fields) };
  const server = new ControlServer(mountpoint, () => Promise.resolve({}), logger);
  try {
    await server.start();
    expect(warnings).toMatchObject([{ socket }]);
  } finally {
    await rmdir(socket);
    await server.stop();
  }
});
