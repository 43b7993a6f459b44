import { describe, expect, test } from 'vitest';
import {
  parseMinioBucket,
  parseS3Bucket,
  type S3Location,
} from '../../src/store/s3/s3-location.ts';

const base: S3Location = {
  bucket: 'b',
  endpoint: undefined,
  region: 'us-east-1',
  pathStyle: false,
  useTls: true,
  checksumDisabled: false,
  continueDisabled: false,
};
const custom = (endpoint: string, rest: Partial<S3Location> = {}): S3Location => ({
  ...base,
  endpoint,
  pathStyle: true,
  useTls: endpoint.startsWith('https'),
  ...rest,
});

describe('the bucket of storage s3', () => {
  test.each<[string, S3Location]>([
    ['http://127.0.0.1:7480/b', custom('http://127.0.0.1:7480')],
    ['http://127.0.0.1:7480/b/more/', custom('http://127.0.0.1:7480')],
    ['127.0.0.1:9000/b', custom('http://127.0.0.1:9000')],
    ['https://rgw.example.com/b/', custom('https://rgw.example.com')],
    ['rgw.example.com/b', custom('http://rgw.example.com')],
    ['https://[::1]:7480/b', custom('https://[::1]:7480')],
    // The bucket as a host label, addressed by path all the same.
    ['https://b.rgw.example.com', custom('https://rgw.example.com')],
    ['http://b.rgw.example.com:8080', custom('http://rgw.example.com:8080')],
    [
      'https://b.ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com',
      custom('https://ns.compat.objectstorage.eu-frankfurt-1.oraclecloud.com', {
        region: 'eu-frankfurt-1',
      }),
    ],
    [
      'https://b.s3.gra.io.cloud.ovh.net',
      custom('https://s3.gra.io.cloud.ovh.net', { region: 'gra' }),
    ],
    ['b', { ...base, region: undefined }],
    ['https://b', { ...base, region: undefined }],
    ['b.s3.amazonaws.com', base],
    ['https://b.s3.eu-west-1.amazonaws.com', { ...base, region: 'eu-west-1' }],
    ['https://b.s3-eu-west-1.amazonaws.com', { ...base, region: 'eu-west-1' }],
    ['https://b.s3-external-1.amazonaws.com', base],
    ['https://b.s3.dualstack.eu-west-1.amazonaws.com', { ...base, region: 'eu-west-1' }],
    ['https://b.s3.cn-north-1.amazonaws.com.cn', { ...base, region: 'cn-north-1' }],
    [
      'https://my.dotted.b.s3.eu-west-1.amazonaws.com',
      { ...base, bucket: 'my.dotted.b', region: 'eu-west-1' },
    ],
    ['https://s3.amazonaws.com/b', base],
    ['https://s3.ap-south-1.amazonaws.com/b', { ...base, region: 'ap-south-1' }],
    ['https://s3-ap-south-1.amazonaws.com/b', { ...base, region: 'ap-south-1' }],
    [
      'https://b.bucket.vpce-1.s3.us-west-2.vpce.amazonaws.com',
      custom('https://bucket.vpce-1.s3.us-west-2.vpce.amazonaws.com', { region: 'us-west-2' }),
    ],
    [
      'http://h:1/b?disable-checksum=True&disable-100-continue=true',
      custom('http://h:1', { checksumDisabled: true, continueDisabled: true }),
    ],
    ['http://h:1/b?region=mars', custom('http://h:1')],
  ])('%s', (text, expected) => {
    expect(parseS3Bucket(text, {})).toEqual(expected);
  });

  test('the environment names the region where the bucket does not, and the style', () => {
    const regions = { AWS_DEFAULT_REGION: 'eu-2' };
    expect(parseS3Bucket('http://h:1/b', regions).region).toBe('eu-2');
    expect(parseS3Bucket('http://h:1/b', { ...regions, AWS_REGION: 'eu-1' }).region).toBe('eu-1');
    expect(parseS3Bucket('https://b.s3.eu-west-1.amazonaws.com', regions).region).toBe('eu-west-1');
    for (const [value, pathStyle] of [
      ['1', false],
      ['true', false],
      ['0', true],
      ['false', true],
    ] as const) {
      expect(parseS3Bucket('http://h:1/b', { JFS_S3_VHOST_STYLE: value }).pathStyle).toBe(
        pathStyle,
      );
    }
  });

  test.each([
    '',
    '/',
    'ftp://h/b',
    'http://',
    'http://127.0.0.1:9000',
    'http://[::1]:9000/',
    'https://example.amazonaws.com',
  ])('refuses %j', (text) => {
    expect(() => parseS3Bucket(text, {})).toThrow(
      expect.objectContaining({ name: 'StoreError', code: 'bad-config' }),
    );
  });
});

describe('the bucket of storage minio', () => {
  test.each<[string, S3Location]>([
    ['127.0.0.1:9000/b', custom('http://127.0.0.1:9000')],
    ['https://m.example.com/b/deeper', custom('https://m.example.com')],
    ['http://m:9000/minio/b', custom('http://m:9000')],
    ['http://m:9000/minio', custom('http://m:9000', { bucket: 'minio' })],
    ['http://m:9000/b?region=eu-9', custom('http://m:9000', { region: 'eu-9' })],
  ])('%s', (text, expected) => {
    expect(parseMinioBucket(text, {})).toEqual(expected);
  });

  test('the environment names the region', () => {
    expect(parseMinioBucket('m:1/b', { MINIO_REGION: 'x', AWS_REGION: 'y' }).region).toBe('x');
  });

  test('refuses a URL without bucket', () => {
    expect(() => parseMinioBucket('http://m:9000', {})).toThrow('no bucket name');
  });
});
