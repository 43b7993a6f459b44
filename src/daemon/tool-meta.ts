import { createMetaEngine, createSettingStore } from '../meta/create-engine.ts';
import type { SettingStore } from '../meta/setting-store.ts';
import type { WritableEngine } from '../meta/writable-engine.ts';
import type { OneShot } from './one-shot.ts';

/** Opens the metadata of a volume until the command ends. @throws MetaError */
export async function openMeta(metaUrl: string, context: OneShot): Promise<WritableEngine> {
  const meta = createMetaEngine(metaUrl, context);
  context.shutdown.push('metadata', () => meta.stop());
  await meta.start();
  return meta;
}

/** Opens the setting alone, also where there is no volume yet. @throws MetaError `bad-url` */
export function openSettings(metaUrl: string, context: OneShot): SettingStore {
  const settings = createSettingStore(metaUrl, context);
  context.shutdown.push('setting', () => settings.close());
  return settings;
}
