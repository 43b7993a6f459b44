import type { VolumeSetting } from '../meta/setting.ts';

/** What people and tools are shown of a setting: no secrets. */
export function shownSetting(setting: VolumeSetting) {
  return {
    name: setting.name,
    uuid: setting.uuid,
    storage: setting.storage,
    bucket: setting.bucket,
    blockBytes: setting.blockBytes,
    compression: setting.compression,
    encrypted: setting.encryptKeyPem !== undefined,
    shards: setting.shards,
    hashPrefix: setting.hashPrefix,
    /** 0: no limit, here and below. */
    capacityBytes: setting.capacityBytes.toString(),
    inodesMax: setting.inodesMax.toString(),
    acl: setting.enableAcl,
    trashDays: setting.trashDays,
  };
}
