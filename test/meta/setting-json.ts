/** A setting as `juicefs format` writes it, without secrets. */
export const SETTING = {
  Name: 'myvolume',
  UUID: '11111111-2222-3333-4444-555555555555',
  Storage: 'S3',
  StorageClass: '',
  Tiers: { '0': { ID: 0, StorageClass: '', Tag: '' } },
  Bucket: 'http://127.0.0.1:9000/bucket',
  AccessKey: 'access',
  BlockSize: 4096,
  Compression: 'LZ4',
  EncryptAlgo: 'aes256gcm-rsa',
  TrashDays: 1,
  MetaVersion: 1,
  MinClientVersion: '1.1.0-A',
  DirStats: true,
  EnableACL: false,
};

/** The bytes that a volume stores for a setting. */
export function settingBytes(setting: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(setting));
}
