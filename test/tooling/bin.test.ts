import { execFile } from 'node:child_process';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { makeTempDir } from '../servers/temp.ts';

const run = promisify(execFile);
const BIN = fileURLToPath(new URL('../../bin/cachemesh.js', import.meta.url));

/** Loaded before the program, lets the running Node pass for an old one. */
const OLD_NODE = `data:text/javascript,${encodeURIComponent(
  "Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.1.0'}})",
)}`;

/** A package folder whose daemon prints its Node and its arguments. */
async function makePackage(options: { dist: boolean; node: boolean }): Promise<string> {
  const dir = await makeTempDir('bin');
  for (const name of ['bin', 'dist/daemon', 'node_modules/node/bin']) {
    await mkdir(join(dir, name), { recursive: true });
  }
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  await copyFile(BIN, join(dir, 'bin/cachemesh.js'));
  if (options.node) await symlink(process.execPath, join(dir, 'node_modules/node/bin/node'));
  if (options.dist) {
    await writeFile(
      join(dir, 'dist/daemon/main.js'),
      'console.log(process.versions.node, process.argv.slice(2)); process.exitCode = 7;',
    );
  }
  return join(dir, 'bin/cachemesh.js');
}

const start = (args: readonly string[]) => run(process.execPath, args);

describe('bin/cachemesh.js', () => {
  it('starts the daemon with the arguments and gives its exit code', async () => {
    const bin = await makePackage({ dist: true, node: false });
    await expect(start([bin, 'mount', '/mnt'])).rejects.toMatchObject({
      code: 7,
      stdout: `${process.versions.node} [ 'mount', '/mnt' ]\n`,
    });
  });

  it('starts again with the Node of the checkout when the running one is too old', async () => {
    const bin = await makePackage({ dist: true, node: true });
    await expect(start(['--import', OLD_NODE, bin, 'stats'])).rejects.toMatchObject({
      code: 7,
      stdout: `${process.versions.node} [ 'stats' ]\n`,
    });
  });

  it('says in one line that Node is too old when there is no other', async () => {
    const bin = await makePackage({ dist: true, node: false });
    await expect(start(['--import', OLD_NODE, bin])).rejects.toMatchObject({
      code: 1,
      stderr: 'cachemesh: needs Node 24 or newer, this is 20.1.0\n',
    });
  });

  it('says in one line that it was not built', async () => {
    const bin = await makePackage({ dist: false, node: false });
    await expect(start([bin])).rejects.toMatchObject({
      code: 1,
      stderr: 'cachemesh: dist/daemon/main.js is missing, run "npm run build" first\n',
    });
  });
});
