import type { VolumeSetting } from '../meta/setting.ts';
import type { ObjectStore } from '../store/object-store.ts';

/** A UUID's text is 36 bytes; what is longer is something else. */
const SMALL_BYTES_MAX = 4096;

/** Name of the object by which clients tell whether a bucket is a volume's: it holds the UUID. */
export function volumeMarkKey({ name }: Pick<VolumeSetting, 'name'>): string {
  return `${name}/juicefs_uuid`;
}

/** Reads a small object; one of more than 4 KiB is cut short. @throws StoreError */
export async function readSmallObject(
  store: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<Buffer> {
  const body = await store.get(key, undefined, signal);
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body.chunks) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > SMALL_BYTES_MAX) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
