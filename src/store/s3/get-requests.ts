import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { ByteRange } from '../../block/byte-range.ts';
import type { Clock } from '../../runtime/clock.ts';
import { StoreError } from '../object-store.ts';

/** The parts of the SDK's request that we use. */
export interface GetTemplate {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  /** Ends with {@link KEY}. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>> | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

type Signer = Awaited<ReturnType<S3Client['config']['signer']>>;
type SignedRequest = Parameters<Signer['sign']>[0];

/** Stands for the key in a template. */
const KEY = 'KEY';
/** What encodeURIComponent leaves and S3's signature does not. @see RFC 3986, section 2.2 */
const RESERVED = /[!'()*]/g;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Heads of GET requests of one bucket. The SDK is asked once what such a request looks like, and signs
 * each; what it does else for each call costs more than all the rest of a small GET.
 */
export class GetRequests {
  readonly template: GetTemplate;
  readonly #client: S3Client;
  readonly #signer: Signer;
  readonly #clock: Clock;

  private constructor(client: S3Client, template: GetTemplate, signer: Signer, clock: Clock) {
    this.template = template;
    this.#client = client;
    this.#signer = signer;
    this.#clock = clock;
  }

  /** @throws what the SDK throws about its configuration */
  static async of(client: S3Client, bucket: string, clock: Clock): Promise<GetRequests> {
    const template = await templateOf(client, bucket);
    const signingRegion = await client.config.region();
    const signer = await client.config.signer({
      name: 'sigv4',
      signingName: 's3',
      signingRegion,
      properties: {},
    });
    return new GetRequests(client, template, signer, clock);
  }

  /** A whole head, as it is sent. @throws what finding credentials fails with */
  async head(key: string, range: ByteRange | undefined): Promise<string> {
    const { template } = this;
    const path = `${template.path.slice(0, -KEY.length)}${encodeKey(key)}`;
    const headers = { ...template.headers };
    if (range !== undefined) headers['range'] = rangeHeader(range);
    const request = { ...template, path, query: { ...template.query }, headers, method: 'GET' };
    // In seconds. The SDK learns from its own requests by how much our clock is wrong.
    const signingDate = (this.#clock.wallMs() + this.#client.config.systemClockOffset) / 1000;
    const signed = await this.#signer.sign(request as SignedRequest, { signingDate });
    return `GET ${path}${queryOf(template)} HTTP/1.1\r\n${linesOf(signed.headers)}\r\n`;
  }
}

/** @see RFC 9110, section 14.1.2 */
export function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${offset + length - 1}`;
}

/** Lets the SDK prepare a GET and takes the request before it is signed and sent. */
async function templateOf(client: S3Client, bucket: string): Promise<GetTemplate> {
  const command = new GetObjectCommand({ Bucket: bucket, Key: KEY });
  let template: GetTemplate | undefined;
  command.middlewareStack.add(
    () => async (args) => {
      template = args.request as GetTemplate;
      return { response: undefined, output: { $metadata: {} } };
    },
    { step: 'build', name: 'template', priority: 'low' },
  );
  await client.send(command);
  if (template?.path.endsWith(KEY) === true) return template;
  throw new StoreError('bad-config', `the SDK asks for ${template?.path} in bucket ${bucket}`);
}

function encodeKey(key: string): string {
  const encoded = encodeURIComponent(key).replaceAll('%2F', '/');
  return encoded.replace(RESERVED, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function queryOf({ query = {} }: GetTemplate): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${String(value)}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function linesOf(headers: Readonly<Record<string, string>>): string {
  let lines = 'connection: keep-alive\r\n';
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER_VALUE.test(value)) {
      throw new StoreError('bad-config', `the header ${name} cannot be sent: odd characters`);
    }
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}
