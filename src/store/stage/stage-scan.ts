import { join } from 'node:path';
import type { BlockKey } from '../../block/block-key.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { systemCode } from '../cache-error.ts';
import type { StageDisk } from './stage-disk.ts';
import { STAGE_DEPTH } from './stage-layout.ts';

/** A file that nobody finished within this time is left over from a daemon that died. */
const STRAY_AFTER_MS = 60_000;

/** A block that an earlier daemon has left behind. */
export interface FoundBlock {
  readonly key: BlockKey;
  /** When it was staged, wall clock. */
  readonly stagedAtMs: number;
}

/**
 * Finds what lies in a staging folder already. Files that are no blocks stay where they are; unfinished
 * ones go, as nobody was told that they are safe.
 *
 * @returns the blocks, those that wait longest first
 * @throws the system's error of the first folder or file that cannot be looked at
 */
export async function scanStage(
  disk: StageDisk,
  parts: { readonly clock: Clock; readonly logger: Logger },
): Promise<FoundBlock[]> {
  const found: FoundBlock[] = [];
  for (const path of await filesBelow(disk, '', STAGE_DEPTH)) {
    const file = disk.paths.parse(path);
    const fields = { path: join(disk.paths.base, path) };
    if (file.kind === 'other') {
      parts.logger.warn(
        fields,
        'a file in the staging folder is no block of this volume: it stays',
      );
      continue;
    }
    const modifiedAtMs = await disk.io.modifiedAtMs(fields.path).catch(absent);
    if (modifiedAtMs === undefined) continue;
    if (file.kind === 'block') found.push({ key: file.key, stagedAtMs: modifiedAtMs });
    else if (parts.clock.wallMs() - modifiedAtMs > STRAY_AFTER_MS) {
      await removeStray(disk, fields, parts.logger);
    }
  }
  return found.sort((a, b) => a.stagedAtMs - b.stagedAtMs);
}

/** Never rejects: whole blocks are not to wait for it. */
async function removeStray(
  disk: StageDisk,
  fields: { readonly path: string },
  logger: Logger,
): Promise<void> {
  try {
    await disk.io.unlink(fields.path).catch(absent);
    const message = 'an unfinished staged block was removed: its writer was never answered';
    logger.info(fields, message);
  } catch (error) {
    const message = 'an unfinished staged block could not be removed';
    logger.warn({ ...fields, error: String(error) }, message);
  }
}

/** Paths of all files in folders of `depth` levels, from the base on. */
async function filesBelow(disk: StageDisk, path: string, depth: number): Promise<string[]> {
  const names = await disk.io.readFolder(join(disk.paths.base, path)).catch((error: unknown) => {
    // One of the two is a file that does not belong here.
    if (systemCode(error) === 'ENOTDIR' || systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (names === undefined) return path === '' ? [] : [path];
  const paths = names.map((name) => (path === '' ? name : `${path}/${name}`));
  if (depth === 0) return paths;
  const below: string[] = [];
  for (const next of paths) below.push(...(await filesBelow(disk, next, depth - 1)));
  return below;
}

function absent(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error;
  return undefined;
}
