import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';
import { MetaError } from '../../src/meta/engine.ts';
import { redisWriterVolume } from '../contract/writer-volumes.ts';
import { WriterBench } from '../contract/writer-bench.ts';
import { emptyRedisVolume } from '../servers/empty-volume.ts';

const WRITERS = 4;
const FILES_EACH = 60;

it('a server that crashes and comes back loses nothing that was told to be done', async () => {
  const empty = await emptyRedisVolume({}, ['--appendonly', 'yes', '--appendfsync', 'always']);
  const { redis } = empty;
  const bench = await WriterBench.on(redisWriterVolume(empty));
  onTestFinished(async () => {
    await bench.stop();
    await empty.stop();
  });
  const dir = await bench.mkdir('d');
  const done: string[] = [];
  const unknown: string[] = [];
  const work = async (writer: number) => {
    for (let n = 0; n < FILES_EACH; n += 1) {
      const name = `${writer}.${n}`;
      try {
        await bench.file(name, dir, 100);
        done.push(name);
      } catch (error) {
        if (!(error instanceof MetaError) || error.code !== 'outcome-unknown') throw error;
        unknown.push(name);
      }
    }
  };
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => work(writer)));
  const crashes = (async () => {
    for (let crash = 1; crash <= 3; crash += 1) {
      while (done.length < crash * 40) await new Promise((resolve) => setTimeout(resolve, 2));
      await redis.kill();
      await redis.start();
    }
  })();
  await Promise.all([writers, crashes]);
  expect(done.length + unknown.length).toBe(WRITERS * FILES_EACH);
  // At most one change of each writer was under way at each crash.
  expect(unknown.length).toBeLessThanOrEqual(3 * WRITERS);
  const client = new Redis(redis.url);
  onTestFinished(() => client.disconnect());
  const { edges, nodes } = await redisWriterVolume({ ...empty, client }).state();
  const lengths = new Map(
    edges
      .filter(({ parent }) => parent === dir)
      .map(({ name, ino }) => [name, nodes.get(ino)?.length]),
  );
  expect(done.filter((name) => lengths.get(name) !== 100n)).toEqual([]);
  await bench.sound();
});
