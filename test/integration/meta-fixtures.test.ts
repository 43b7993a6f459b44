import { describe, expect, it } from 'vitest';
import { encodeAclXattr } from '../../src/meta/acl-xattr.ts';
import type { MetaEngine } from '../../src/meta/engine.ts';
import { toIno } from '../../src/posix/ino.ts';
import {
  expectEntries,
  expectListings,
  expectSlices,
  expectXattrs,
} from '../contract/meta-engine-manifest.ts';
import { testEngine } from '../contract/meta-engine-options.ts';
import { FIXTURE_NAMES, type FixtureName, loadFixture } from '../servers/fixtures.ts';
import type { FixtureManifest } from '../servers/fixture-manifest.ts';

const signal = new AbortController().signal;
const DEFAULTS = { compression: 'none', hashPrefix: false, shards: 1, trashDays: 0 };
const SETTINGS: Partial<Record<FixtureName, object>> = {
  lz4: { compression: 'lz4' },
  zstd: { compression: 'zstd' },
  'encrypted-aes': { encryptAlgo: 'aes256gcm-rsa', blockBytes: 1 << 20 },
  'encrypted-chacha': { encryptAlgo: 'chacha20-rsa', compression: 'lz4' },
  'hash-prefix': { hashPrefix: true, blockBytes: 512 << 10 },
  shards: { shards: 4, blockBytes: 256 << 10 },
  trash: { trashDays: 1 },
  acl: { enableAcl: true },
  quota: { capacityBytes: 2n << 30n, inodesMax: 10_000n },
  sqlite: { compression: 'lz4' },
};

describe.each(FIXTURE_NAMES)('the recorded volume %s', (name) => {
  it('is read as a real mount shows it', async () => {
    const fixture = await loadFixture(name);
    const engine = testEngine(fixture.metaUrl, { deadlineMs: 60_000 });
    try {
      await engine.start();
      const setting = await engine.loadSetting(signal);
      expect(setting).toMatchObject({ name, ...DEFAULTS, ...SETTINGS[name] });
      const hasKey = /^-----BEGIN [^]*KEY-----/.test(setting.encryptKeyPem ?? '');
      expect(hasKey).toBe(name.startsWith('encrypted'));
      await expectEntries(engine, fixture.manifest);
      await expectListings(engine, fixture.manifest);
      await expectSlices(engine, fixture.manifest);
      if (name !== 'manyfiles') await expectXattrs(engine, fixture.manifest);
      await expectAcls(engine, fixture.manifest);
      await expectQuotas(engine, fixture.manifest);
    } finally {
      await engine.stop();
      await fixture.stop();
    }
  });
});

/** The kernel's form of every access rule is what getxattr gives on a real mount. */
async function expectAcls(engine: MetaEngine, manifest: FixtureManifest): Promise<void> {
  for (const { inode, xattrs } of manifest.entries) {
    if (xattrs === undefined) continue;
    const attr = await engine.getattr(toIno(BigInt(inode)), signal);
    const rules = [
      ['system.posix_acl_access', attr?.accessAclId ?? 0],
      ['system.posix_acl_default', attr?.defaultAclId ?? 0],
    ] as const;
    for (const [xattr, id] of rules) {
      const rule = id === 0 ? undefined : await engine.aclRule(id, signal);
      const value = rule && Buffer.from(encodeAclXattr(rule)).toString('base64');
      expect(value).toBe(xattrs[xattr]);
    }
  }
}

async function expectQuotas(engine: MetaEngine, manifest: FixtureManifest): Promise<void> {
  for (const quota of manifest.quotas?.['dir'] ?? []) {
    expect(await engine.dirQuota(toIno(BigInt(quota.id)), signal)).toEqual({
      maxBytes: BigInt(quota.max_space),
      maxInodes: BigInt(quota.max_inodes),
      usedBytes: BigInt(quota.used_space),
      usedInodes: BigInt(quota.used_inodes),
    });
  }
}
