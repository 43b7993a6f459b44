import { emptyRedisVolume } from '../servers/empty-volume.ts';
import { metaWriterContract } from './meta-writer-contract.ts';
import { redisWriterVolume } from './writer-volumes.ts';

metaWriterContract('RedisEngine', async (fields) =>
  redisWriterVolume(await emptyRedisVolume(fields)),
);
