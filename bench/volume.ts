import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { startRedis } from '../test/servers/redis.ts';
import { startRgw, type RgwAddress } from '../test/servers/rgw.ts';
import { makeTempDir } from '../test/servers/temp.ts';
import { type CheckResult, checkFiles, makeFiles } from './file-reader.ts';
import { mountOn } from './mounts.ts';
import { runProgram } from './program.ts';
import { onStage, type Stage } from './stage.ts';
import { checkTorch, makeTorch, type TorchCheck } from './torch-package.ts';

/** A JuiceFS volume with the bench's files, written through `juicefs mount`. */
export interface Volume {
  readonly name: string;
  readonly metaUrl: string;
  /** The gateway that is the origin, if any. */
  readonly rgw: RgwAddress | undefined;
  readonly bigBytes: number;
  readonly smallFiles: number;
  /** What reading everything must give. */
  readonly expected: CheckResult & Partial<TorchCheck>;
}

/** What to put into a volume. */
export interface VolumeContent {
  readonly name: string;
  readonly bigBytes: number;
  readonly smallFiles: number;
  /** Debian's python3-torch, too. */
  readonly torch: boolean;
}

const FORMAT_TIMEOUT_MS = 60_000;
const SEED = 20_260;

/**
 * Makes a volume on a Redis of its own whose objects are files.
 *
 * @throws Error when juicefs or Redis fail
 */
export async function fileVolume(
  stage: Stage,
  content: VolumeContent,
  signal: AbortSignal,
): Promise<Volume> {
  const bucket = join(await makeTempDir('origin'), 'objects');
  await mkdir(bucket);
  return makeVolume(stage, { content, storage: ['file', `${bucket}/`], rgw: undefined }, signal);
}

/** Makes a volume whose objects are in a Ceph object gateway, which is started for it. */
export async function gatewayVolume(
  stage: Stage,
  content: VolumeContent,
  signal: AbortSignal,
): Promise<Volume> {
  const rgw = await startRgw();
  stage.onEnd('the object gateway', () => rgw.stop());
  const { address } = rgw;
  await createBucket(address, content.name);
  const storage = ['s3', `${address.endpoint}/${content.name}`] as const;
  return makeVolume(stage, { content, storage, rgw: address }, signal);
}

/** Juicefs asks for a bucket in a region that the gateway does not have. */
async function createBucket(rgw: RgwAddress, name: string): Promise<void> {
  const client = new S3Client({
    ...{ endpoint: rgw.endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
  });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
}

interface Origin {
  readonly content: VolumeContent;
  /** Driver and bucket. */
  readonly storage: readonly [string, string];
  readonly rgw: RgwAddress | undefined;
}

async function makeVolume(
  stage: Stage,
  { content, storage, rgw }: Origin,
  signal: AbortSignal,
): Promise<Volume> {
  const redis = await startRedis();
  stage.onEnd('Redis', () => redis.stop());
  const keys =
    rgw === undefined ? [] : ['--access-key', rgw.accessKey, '--secret-key', rgw.secretKey];
  await runProgram(
    [
      ...(['juicefs', 'format', '--no-update', '--trash-days', '0'] as const),
      ...['--storage', storage[0], '--bucket', storage[1], ...keys, redis.url, content.name],
    ],
    { timeoutMs: FORMAT_TIMEOUT_MS, signal },
  );
  const { name, bigBytes, smallFiles, torch } = content;
  const volume = { name, metaUrl: redis.url, rgw, bigBytes, smallFiles };
  const expected = await onStage(async (writing) => {
    const mounted = await mountOn(writing, {
      ...{ name: 'writer', volume, signal, command: ['juicefs', 'mount', '--no-usage-report'] },
      args: ['--cache-size', '0', '--no-bgjob'],
    });
    const made = await makeFiles(mounted.path, { bigBytes, smallFiles, seed: SEED, signal });
    return torch ? { ...made, ...(await makeTorch(mounted.path, signal)) } : made;
  });
  return { ...volume, expected };
}

/**
 * Reads everything, which fills the caches of the mount, and compares digests: a bench of wrong
 * bytes would be worth nothing.
 *
 * @throws Error when a byte differs
 */
export async function warmAndCheck(
  path: string,
  volume: Volume,
  signal: AbortSignal,
): Promise<void> {
  const found: Volume['expected'] = {
    ...(await checkFiles(path, signal)),
    ...(volume.expected.torchFiles === undefined ? {} : await checkTorch(path, signal)),
  };
  const wrong = Object.entries(volume.expected).filter(
    ([key, value]) => found[key as keyof typeof found] !== value,
  );
  if (wrong.length === 0) return;
  throw new Error(
    `${path} has other content than was written: ${JSON.stringify({ wrong, found })}`,
  );
}
