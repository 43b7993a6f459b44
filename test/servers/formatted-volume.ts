import { join } from 'node:path';
import { runCli } from './cli.ts';
import { startRedis } from './redis.ts';
import { makeTempDir } from './temp.ts';

/** Metadata engines that volumes are formatted on. */
export type Engine = 'redis' | 'sqlite';

/** A place for metadata where nothing is yet. */
export async function emptyDatabase(
  engine: Engine,
): Promise<{ readonly metaUrl: string; stop(): Promise<void> }> {
  if (engine === 'sqlite') {
    const dir = await makeTempDir('sqlite');
    return { metaUrl: `sqlite3://${join(dir, 'meta.db')}`, stop: async () => undefined };
  }
  const redis = await startRedis();
  return { metaUrl: redis.url, stop: () => redis.stop() };
}

/** A volume that the command line has made, with objects in a folder. @param args - of `format` */
export async function formattedVolume(engine: Engine, args: readonly string[] = []) {
  const { metaUrl, stop } = await emptyDatabase(engine);
  const objects = `${await makeTempDir('objects')}/`;
  const storage = ['--storage', 'file', '--bucket', objects];
  const { status, stderr } = await runCli(['format', metaUrl, 'vol', ...storage, ...args]);
  if (status !== 0) throw new Error(`format: ${stderr}`);
  return { metaUrl, objects, args: [], stop };
}
