import { type ObjectNaming, parseObjectKey } from '../block/object-key.ts';
import { volumeMarkKey } from './volume-mark.ts';

/** Automatic dumps of the metadata, of any format that original clients have had. */
const BACKUP = /^meta\/dump-[0-9-]+\.[a-z.]+$/;
/** What a test of the bucket leaves when it is stopped. */
const PROBE = /^testing\/[0-9a-zA-Z_.-]+$/;
/** A file that is being written to a bucket that is a directory. */
const UNFINISHED = /^(.*\/)\.jfs\.([^/]+)\.tmp\.?[0-9]+$/;
/** Empty objects that stand for directories. */
const FOLDER = /^(chunks\/([0-9A-F]+\/){0,2}|meta\/|testing\/)?$/;

/** Whether an object's name is one that clients give to objects of the volume. */
export function isVolumeObject(naming: ObjectNaming, key: string): boolean {
  const folder = `${naming.volumeName}/`;
  if (!key.startsWith(folder)) return false;
  const [, where, name] = UNFINISHED.exec(key) ?? [];
  if (where !== undefined && name !== undefined) return isVolumeObject(naming, where + name);
  if (key === volumeMarkKey({ name: naming.volumeName })) return true;
  if (parseObjectKey(naming, key) !== undefined) return true;
  const rest = key.slice(folder.length);
  return [BACKUP, PROBE, FOLDER].some((pattern) => pattern.test(rest));
}
