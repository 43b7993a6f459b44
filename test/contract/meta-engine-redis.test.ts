import { Redis } from 'ioredis';
import { loadFixture } from '../servers/fixtures.ts';
import { type ContractVolume, type Damage, metaEngineContract } from './meta-engine-contract.ts';
import { testEngine } from './meta-engine-options.ts';

const SESSION_KEYS = new Set(['allSessions', 'sessionInfos', 'nextsession']);

metaEngineContract('RedisEngine', async (): Promise<ContractVolume> => {
  const fixture = await loadFixture('plain');
  const redis = new Redis(fixture.metaUrl);
  return {
    fixture,
    createEngine: (options) => testEngine(fixture.metaUrl, options),
    addNames: async (directory, ino, count) => {
      for (let at = 0; at < count; at += 1000) {
        const names = Array.from({ length: 1000 }, (_, index) => [`f${at + index}`, edge(1, ino)]);
        await redis.hset(`d${directory}`, ...names.flat());
      }
    },
    damage: (what, ino) => damage(redis, what, ino),
    snapshot: async () => {
      const keys = (await redis.keys('*')).filter((key) => !SESSION_KEYS.has(key)).toSorted();
      const values = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
      return keys.map((key, index) => `${key} ${values[index]?.toString('base64')}`).join('\n');
    },
    stop: async () => {
      redis.disconnect();
      await fixture.stop();
    },
  };
});

async function damage(redis: Redis, what: Damage, ino: bigint): Promise<void> {
  switch (what) {
    case 'setting':
      return void (await redis.set('setting', '{"Name":17}'));
    case 'attr':
      return void (await redis.set(`i${ino}`, 'short'));
    case 'edge':
      return void (await redis.hset('d1', 'victim', 'not nine bytes'));
    case 'dangling':
      return void (await redis.hset('d1', 'victim', edge(1, ino)));
    case 'chunk':
      return void (await redis.rpush(`c${ino}_0`, Buffer.alloc(24), Buffer.alloc(23)));
    case 'aclRule':
      return void (await redis.hset('acl', String(ino), Buffer.alloc(13, 0xff)));
  }
}

function edge(type: number, ino: bigint): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(type);
  bytes.writeBigUInt64BE(ino, 1);
  return bytes;
}
