/**
 * How fast a group warms up, beside the speed at which its origin delivers the same objects to one
 * `curl --parallel`: `npm run bench:warmup`. All of it runs on this machine, the gateway too.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import type { WarmupLine } from '../src/daemon/warmup-line.ts';
import { type Bucket, gatewayBucket } from '../test/servers/buckets.ts';
import { runCli, runToEnd } from '../test/servers/cli.ts';
import { startGroup, type TestDaemon } from '../test/servers/daemons.ts';
import { serveSharedRgw, sharedRgw } from '../test/servers/shared-rgw.ts';
import { makeSyntheticVolume } from '../test/servers/synthetic-volume.ts';
import { removeRunDir } from '../test/servers/temp.ts';
import { treeUsage } from './process-tree.ts';
import { onStage, type Stage } from './stage.ts';

const USAGE = `npm run bench:warmup -- [options]
  --nodes N     of the group (default 4)
  --mib N       of the data (default 512)
  --rounds N    origin and group in turn (default 3)`;
const MIB = 2 ** 20;
const FILE_MIB = 64;
/** Of curl; a node of the group takes 50 at once, and has too much under way before that. */
const PARALLEL = 64;

interface GroupSpeed {
  readonly mbPerSecond: number;
  /** Of all daemons. */
  readonly cpuPerGb: number;
}

/** A bucket that anyone may read, and the addresses of what was put into it. */
async function openBucket(): Promise<Bucket & { readonly urls: string[] }> {
  const bucket = await gatewayBucket();
  const { name, setting } = bucket;
  const { endpoint, accessKey, secretKey } = await sharedRgw();
  const client = new S3Client({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  const Resource = `arn:aws:s3:::${name}/*`;
  const Statement = [{ Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource }];
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  await client.send(new PutBucketPolicyCommand({ Bucket: name, Policy }));
  client.destroy();
  const urls: string[] = [];
  const put = (key: string, bytes: Uint8Array) => {
    urls.push(`${setting.Bucket}/${key}`);
    return bucket.put(key, bytes);
  };
  return { setting, urls, put };
}

/** Fetches all objects with a client that does nothing else. */
async function originSpeed(urls: readonly string[]): Promise<number> {
  const config = urls.flatMap((url) => [
    ...['next', 'silent', `url = "${url}"`, 'output = "/dev/null"'],
    'write-out = "%{http_code} %{size_download}\\n"',
  ]);
  const words = ['--parallel', '--parallel-max', String(PARALLEL), '--config', '-'];
  const startedMs = performance.now();
  const { stdout } = await runToEnd(['curl', ...words], { input: config.slice(1).join('\n') });
  const seconds = (performance.now() - startedMs) / 1000;
  const answers = stdout.trim().split('\n');
  const good = answers.filter((line) => line.startsWith('200 '));
  if (good.length !== urls.length) {
    throw new Error(`curl got ${good.length} of ${urls.length} objects; others: ${answers[0]}`);
  }
  return good.reduce((sum, line) => sum + Number(line.slice(4)), 0) / 1e6 / seconds;
}

async function groupSpeed(nodes: readonly TestDaemon[], path: string): Promise<GroupSpeed> {
  await warmup(path, '--evict');
  const cpu = () => nodes.reduce((sum, node) => sum + treeUsage(node.process.pid).cpuSeconds, 0);
  const before = cpu();
  const { fetchedBytes, elapsedMs } = await warmup(path);
  const cpuPerGb = (cpu() - before) / (fetchedBytes / 1e9);
  return { mbPerSecond: fetchedBytes / 1e3 / elapsedMs, cpuPerGb };
}

/** @returns its last line */
async function warmup(path: string, ...words: readonly string[]): Promise<WarmupLine> {
  const { status, stdout, stderr } = await runCli(['warmup', path, '--json', ...words]);
  if (status !== 0) throw new Error(`warmup ended with ${status}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) as string) as WarmupLine;
}

async function bench(
  stage: Stage,
  { nodes, mib, rounds }: { nodes: number; mib: number; rounds: number },
): Promise<void> {
  const stopGateway = await serveSharedRgw();
  if (stopGateway !== undefined) stage.onEnd('the object gateway', stopGateway);
  const bucket = await openBucket();
  const volume = await makeSyntheticVolume({ bucket });
  stage.onEnd('Redis', () => volume.stop());
  const files = Math.ceil(mib / FILE_MIB);
  await volume.addFiles(
    Array.from({ length: files }, (_, index) => [`set/${index}`, FILE_MIB * MIB] as const),
  );
  const args = ['--cache-dir', 'memory', '--cache-size', String(2 * files * FILE_MIB)];
  const group = await startGroup(nodes, { metaUrl: volume.metaUrl, args, compiled: true });
  stage.onEnd('the group', async () => void (await Promise.all(group.map((node) => node.stop()))));
  const path = join((group[0] as TestDaemon).mountpoint, 'set');
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const origin = await originSpeed(bucket.urls);
    const own = await groupSpeed(group, path);
    ratios.push(own.mbPerSecond / origin);
    console.log(
      `origin ${origin.toFixed(0)} MB/s, group of ${nodes} ${own.mbPerSecond.toFixed(0)} MB/s`,
      `with ${own.cpuPerGb.toFixed(2)} s of CPU per GB: ${ratios.at(-1)?.toFixed(2)}`,
    );
  }
  ratios.sort((one, other) => one - other);
  console.log(`group : origin, speed ${ratios[ratios.length >> 1]?.toFixed(2)} (goal ≥ 0.9)`);
}

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '4' },
    mib: { type: 'string', default: '512' },
    rounds: { type: 'string', default: '3' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) console.log(USAGE);
else {
  const [nodes, mib, rounds] = [values.nodes, values.mib, values.rounds].map(Number) as [
    number,
    number,
    number,
  ];
  try {
    await onStage((stage) => bench(stage, { nodes, mib, rounds }));
  } finally {
    await removeRunDir();
  }
}
