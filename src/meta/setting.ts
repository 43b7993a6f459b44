/** What a volume's `setting` says, checked and with its secrets decrypted. */
export interface VolumeSetting {
  readonly name: string;
  readonly uuid: string;
  /** Object store driver, lower case: `file`, `s3`, `minio`, `ceph`, … */
  readonly storage: string;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  /** Bytes of a full block: a power of two, 64 KiB … 16 MiB. */
  readonly blockBytes: number;
  readonly compression: 'none' | 'lz4' | 'zstd';
  /** Number of buckets; 1 when the volume is not sharded. */
  readonly shards: number;
  readonly hashPrefix: boolean;
  /** 0 = unlimited. */
  readonly capacityBytes: bigint;
  /** 0 = unlimited. */
  readonly inodesMax: bigint;
  /** PEM text of the private key, undefined when data is not encrypted. */
  readonly encryptKeyPem: string | undefined;
  readonly encryptAlgo: 'aes256gcm-rsa' | 'chacha20-rsa';
  readonly trashDays: number;
  readonly metaVersion: number;
  readonly enableAcl: boolean;
  readonly dirStats: boolean;
  /** Whether the usage of users and groups is kept. */
  readonly userGroupQuota: boolean;
  /** Whether every change must be logged, too. */
  readonly changeLog: boolean;
  /** The JSON as stored, with fields that we do not know. */
  readonly raw: Readonly<Record<string, unknown>>;
}
