import { readFile } from 'node:fs/promises';

/** One request as the gateway itself logged it. */
export interface GatewayRequest {
  readonly method: string;
  /** Path without the query, percent-encoded as it was sent: `/bucket/key`. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the body: sent by the gateway for GET, received for PUT. */
  readonly bodyBytes: number;
  /** The asked range, for example `bytes=0-99`. */
  readonly range: string | undefined;
}

// beast: 0x7fc8: 127.0.0.1 - user [date] "GET /b/k?x-id=GetObject HTTP/1.1" 206 100 - "agent" bytes=10-109 latency=…
const LINE =
  / beast: \S+ \S+ - \S+ \[[^\]]*\] "(\S+) (\S+) HTTP\/[\d.]+" (\d+) (\d+) \S+ ".*" (\S+) latency=/;

/**
 * Reads the requests out of a gateway's log, oldest first.
 *
 * @param path - path of the log file
 */
export async function readGatewayLog(path: string): Promise<GatewayRequest[]> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const [, method, target, status, bytes, range] = LINE.exec(line) ?? [];
    if (method === undefined || target === undefined) return [];
    return {
      method,
      path: target.replace(/\?.*$/, ''),
      status: Number(status),
      bodyBytes: Number(bytes),
      range: range === '-' ? undefined : range,
    };
  });
}
