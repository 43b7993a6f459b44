import { StoreError } from '../object-store.ts';

/** Environment variables, handed in by the daemon. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What a `Bucket` and the environment say about an S3 bucket. */
export interface S3Location {
  readonly bucket: string;
  /** `scheme://host[:port]`; undefined for AWS, whose endpoint follows from the region. */
  readonly endpoint: string | undefined;
  /** Undefined when AWS must be asked where the bucket is. */
  readonly region: string | undefined;
  readonly pathStyle: boolean;
  readonly useTls: boolean;
  /** Neither write nor check the `crc32c` metadata. */
  readonly checksumDisabled: boolean;
  /** Do not wait for `100 Continue` before sending a body. */
  readonly continueDisabled: boolean;
}

const DEFAULT_REGION = 'us-east-1';
/** Hosts of other clouds that name their region. */
const REGION_HOSTS = [
  /.*\.compat\.objectstorage\.(.*)\.oraclecloud\.com/,
  /^s3\.(\w*)(\.\w*)?\.cloud\.ovh\.net$/,
];
const IP_ADDRESS = /^(\[.*\]|[0-9.]+)$/;
const VPC_ENDPOINT = /^.*\.(.*)\.vpce\.amazonaws\.com/;

/**
 * Understands the `Bucket` of a volume whose `Storage` is `s3`: `[scheme://]endpoint/bucket` or
 * `[scheme://]bucket[.endpoint]`.
 *
 * @throws StoreError (`bad-config`) when it is not a URL or names no bucket
 */
export function parseS3Bucket(text: string, env: Env): S3Location {
  const url = toUrl(text, hasDot(text) && !text.endsWith('.amazonaws.com') ? 'http' : 'https');
  const firstSegment = url.pathname.split('/')[1] ?? '';
  const place = firstSegment === '' ? placeOfHost(url) : placeOfPath(url, firstSegment);
  if (place.bucket === '') throw new StoreError('bad-config', `no bucket name in '${text}'`);
  const isCustom = place.endpoint !== undefined;
  const fallback = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || DEFAULT_REGION;
  return {
    bucket: place.bucket,
    endpoint: isCustom ? `${url.protocol}//${place.endpoint}` : undefined,
    region: place.isRegionUnknown === true ? undefined : place.region || fallback,
    pathStyle: isCustom && isPathStyle(env),
    ...commonOf(url),
  };
}

/**
 * Understands the `Bucket` of a volume whose `Storage` is `minio`: `[scheme://]host[:port]/bucket`.
 *
 * @throws StoreError (`bad-config`) when it is not a URL or names no bucket
 */
export function parseMinioBucket(text: string, env: Env): S3Location {
  const url = toUrl(text, 'http');
  const segments = url.pathname.split('/').slice(1);
  // `mc` users write the alias in front of the bucket.
  const bucket = (segments.length > 1 && segments[0] === 'minio' ? segments[1] : segments[0]) ?? '';
  if (bucket === '') throw new StoreError('bad-config', `no bucket name in '${text}'`);
  return {
    bucket,
    endpoint: url.origin,
    region: url.searchParams.get('region') || env['MINIO_REGION'] || DEFAULT_REGION,
    pathStyle: isPathStyle(env),
    ...commonOf(url),
  };
}

interface Place {
  readonly bucket: string;
  readonly endpoint?: string;
  readonly region?: string;
  readonly isRegionUnknown?: boolean;
}

/** `endpoint/bucket` */
function placeOfPath(url: URL, bucket: string): Place {
  if (url.hostname.includes('.amazonaws.com')) return { bucket, region: awsRegionOf(url.hostname) };
  return { bucket, endpoint: url.host };
}

/** `bucket.endpoint`, or an AWS bucket's name alone. */
function placeOfHost(url: URL): Place {
  // A host that is an address has no label that could be a bucket.
  if (IP_ADDRESS.test(url.hostname)) return { bucket: '' };
  const dot = url.host.indexOf('.');
  if (dot === -1) return { bucket: url.host, isRegionUnknown: true };
  const bucket = url.host.slice(0, dot);
  const endpoint = url.host.slice(dot + 1);
  if (url.hostname.includes('.amazonaws.com')) return placeOfAwsHost(url.hostname);
  for (const pattern of REGION_HOSTS) {
    const region = pattern.exec(endpoint)?.[1];
    if (region !== undefined) return { bucket, endpoint, region };
  }
  return { bucket, endpoint };
}

function placeOfAwsHost(host: string): Place {
  const vpcRegion = VPC_ENDPOINT.exec(host)?.[1];
  if (vpcRegion !== undefined) {
    const dot = host.indexOf('.');
    return { bucket: host.slice(0, dot), endpoint: host.slice(dot + 1), region: vpcRegion };
  }
  const at = host.indexOf('.s3');
  if (at === -1) throw new StoreError('bad-config', `'${host}' is not a host of AWS S3`);
  return { bucket: host.slice(0, at), region: awsRegionOf(host.slice(at + 1)) };
}

/** The region in a host like `s3.eu-west-1.amazonaws.com` or `s3-eu-west-1.amazonaws.com`. */
function awsRegionOf(host: string): string {
  const label = host
    .replace(/^s3[-.]/, '')
    .replace(/^dualstack\./, '')
    .split('.')[0] as string;
  return label === 'amazonaws' || label === 'external-1' ? DEFAULT_REGION : label;
}

function commonOf(url: URL): Pick<S3Location, 'useTls' | 'checksumDisabled' | 'continueDisabled'> {
  const isTrue = (name: string) => url.searchParams.get(name)?.toLowerCase() === 'true';
  return {
    useTls: url.protocol === 'https:',
    checksumDisabled: isTrue('disable-checksum'),
    continueDisabled: isTrue('disable-100-continue'),
  };
}

function isPathStyle(env: Env): boolean {
  return ['', '0', 'false'].includes(env['JFS_S3_VHOST_STYLE'] ?? '');
}

function hasDot(text: string): boolean {
  return text.includes('.');
}

function toUrl(text: string, defaultScheme: string): URL {
  const full = text.includes('://') ? text : `${defaultScheme}://${text}`;
  const url = URL.parse(full);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new StoreError('bad-config', `bucket '${text}' is not an http or https URL`);
  }
  return url;
}
