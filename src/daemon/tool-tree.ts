import path from 'node:path';
import { createWriterWithUpkeep } from '../meta/create-writer.ts';
import { SliceRemover } from '../store/slice-remover.ts';
import { MetaTree } from './meta-tree.ts';
import { MountTree } from './mount-tree.ts';
import type { OneShot } from './one-shot.ts';
import { UsageError } from './quantities.ts';
import { openMeta } from './tool-meta.ts';
import { openToolVolume, type OriginOptions } from './tool-volume.ts';
import type { Tree } from './tree.ts';

/** What a command with `PATH…` was told. */
export interface ToolPaths {
  /** Undefined: paths of mounts. */
  readonly metaUrl: string | undefined;
  readonly paths: readonly string[];
}

/**
 * Paths in mounts; or, behind a metadata URL, in a volume.
 *
 * @throws UsageError
 */
export function toolPaths(given: readonly string[]): ToolPaths {
  const [first, ...rest] = given;
  if (first === undefined) throw new UsageError('no path: name one in a mount, or META-URL PATH');
  if (!first.includes('://')) {
    return { metaUrl: undefined, paths: given.map((each) => path.resolve(each)) };
  }
  if (rest.length === 0)
    throw new UsageError(`${first}: which path in the volume? "/" is all of it`);
  return { metaUrl: first, paths: rest };
}

/** A tree to look at. */
export async function openTree(metaUrl: string | undefined, context: OneShot): Promise<Tree> {
  if (metaUrl === undefined) return new MountTree();
  return new MetaTree({ meta: await openMeta(metaUrl, context), signal: context.signal });
}

/** A tree to remove things from. */
export async function openChangingTree(
  metaUrl: string | undefined,
  options: OriginOptions & { readonly skipTrash: boolean },
  context: OneShot,
): Promise<Tree> {
  if (metaUrl === undefined) {
    if (options.skipTrash) throw new UsageError('--skip-trash: needs META-URL PATH');
    return new MountTree();
  }
  const { signal } = context;
  const { meta, setting, upload } = await openToolVolume(metaUrl, options, context);
  const objects = new SliceRemover(upload, setting.blockBytes);
  // Nothing is opened and no lock is held: a session has nothing to keep.
  const parts = { ...context, engine: meta, objects, sid: () => undefined };
  const { writer, upkeep } = await createWriterWithUpkeep(parts, signal);
  context.shutdown.push('upkeep', () => upkeep.stop());
  context.shutdown.push('data of deleted files', () => upkeep.settle());
  return new MetaTree({ meta, writer, skipTrash: options.skipTrash, signal });
}
