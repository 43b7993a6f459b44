import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareStatfs, compareTree, pathIn } from '../servers/compare-tree.ts';
import { startGroup, type TestDaemon } from '../servers/daemons.ts';
import { FIXTURE_NAMES, type LoadedFixture, loadFixture } from '../servers/fixtures.ts';

const NODES = 3;

describe.each(FIXTURE_NAMES)('volume %s through three nodes of a group', (name) => {
  let fixture: LoadedFixture;
  let nodes: TestDaemon[] = [];

  beforeAll(async () => {
    fixture = await loadFixture(name);
    nodes = await startGroup(NODES, {
      metaUrl: fixture.metaUrl,
      args: ['--bucket', fixture.bucket],
      env: fixture.passphrase === undefined ? {} : { JFS_RSA_PASSPHRASE: fixture.passphrase },
    });
  });

  afterAll(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await fixture.stop();
  });

  test.each(Array.from({ length: NODES }, (_, index) => index))(
    'node %i shows what a real client showed',
    async (index) => {
      const node = nodes[index] as TestDaemon;
      // Of 20,000 files without extended attributes one node's answer is enough.
      const xattrs = name !== 'manyfiles' || index === 0;
      expect(await compareTree(node.mountpoint, fixture.manifest, { xattrs })).toEqual([]);
    },
  );

  test('statfs', async () => {
    const { mountpoint } = nodes[0] as TestDaemon;
    const differences = await compareStatfs(mountpoint, fixture.manifest.statfs);
    for (const { path_b64, statfs } of fixture.manifest.statfs_paths ?? []) {
      differences.push(...(await compareStatfs(pathIn(mountpoint, path_b64), statfs)));
    }
    expect(differences).toEqual([]);
  });
});
