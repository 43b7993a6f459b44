import type { Command } from 'commander';
import type { OneShot } from './one-shot.ts';
import { type OpenVolume, openVolume } from './volume.ts';

/** Which bucket a tool uses instead of the one in the setting. */
export interface OriginOptions {
  readonly storage?: string;
  readonly bucket?: string;
}

/** As `mount` has them when nothing is said. */
const ORIGIN = { maxDownloads: 200, maxUploads: 20, getTimeoutMs: 60_000, putTimeoutMs: 60_000 };
const IO_RETRIES = 10;

/** Adds the options of {@link OriginOptions}. */
export function addOriginOptions(command: Command): Command {
  return command
    .option('--storage <NAME>', 'object store to use instead of the one in the setting')
    .option('--bucket <URL>', 'bucket to use instead of the one in the setting');
}

/** Opens a volume for a command. @throws MetaError, StoreError */
export function openToolVolume(
  metaUrl: string,
  { storage, bucket }: OriginOptions,
  context: OneShot,
): Promise<OpenVolume> {
  const config = { storage, bucket, ...ORIGIN, ioRetries: IO_RETRIES };
  return openVolume(metaUrl, config, context, context.shutdown);
}
