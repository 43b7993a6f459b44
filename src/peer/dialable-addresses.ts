import { isIP } from 'node:net';
import { multiaddr } from '@multiformats/multiaddr';
import type { NodeId } from '../block/node-id.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { InterfaceAddress } from './network.ts';

/** An address that was configured makes no sense; the message quotes it. */
export class AddressError extends CodedError<'bad-address'> {}

/** Addresses of one node that are used at most. */
export const ADDRESSES_MAX = 16;
/** Characters of an address at most. */
const ADDRESS_LENGTH_MAX = 256;

/**
 * Brings an address that a person wrote into the form of a multiaddr: `host:port`, `[ipv6]:port`
 * and multiaddrs are understood.
 *
 * @throws AddressError
 */
export function toMultiaddr(text: string): string {
  if (text.startsWith('/')) {
    if (!isMultiaddr(text)) throw badAddress(text);
    return text;
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) throw badAddress(text);
  return tcpMultiaddr(host, port);
}

/** The multiaddr of a TCP port. */
export function tcpMultiaddr(host: string, port: number): string {
  const family = isIP(host);
  const kind = family === 0 ? 'dns' : `ip${family}`;
  return `/${kind}/${host}/tcp/${port}`;
}

/** The host that a multiaddr names, or undefined when it names none. */
export function hostOf(address: string): string | undefined {
  if (!isMultiaddr(address)) return undefined;
  const [first] = multiaddr(address).getComponents();
  const named = first !== undefined && /^(ip4|ip6|dns|dns4|dns6)$/.test(first.name);
  return named ? first.value : undefined;
}

/** Whether `text` is a multiaddr of reasonable length. */
export function isMultiaddr(text: unknown): text is string {
  if (typeof text !== 'string' || text.length > ADDRESS_LENGTH_MAX) return false;
  try {
    return multiaddr(text).getComponents().length > 0;
  } catch {
    // The parser has no other way to say no.
    return false;
  }
}

/** Adds who is expected to answer there, so that nobody else is taken for it. */
export function withPeerId(address: string, nodeId: NodeId): string {
  return /\/p2p\/[^/]+$/.test(address) ? address : `${address}/p2p/${nodeId}`;
}

/** Takes away what {@link withPeerId} adds. */
export function withoutPeerId(address: string, nodeId: NodeId): string {
  const end = `/p2p/${nodeId}`;
  return address.endsWith(end) ? address.slice(0, -end.length) : address;
}

/**
 * By which addresses others reach a listener: those announced, or the one listened on; a listener
 * on all interfaces is reached by each that other machines can use, or by loopback if there is none.
 *
 * @param options - `announce`: what a person configured, as {@link toMultiaddr} understands it
 * @throws AddressError
 */
export function dialableAddresses(options: {
  nodeId: NodeId;
  host: string;
  port: number;
  announce: readonly string[];
  interfaces: readonly InterfaceAddress[];
}): string[] {
  const { nodeId, host, port, announce, interfaces } = options;
  const plain =
    announce.length > 0
      ? announce.map(toMultiaddr)
      : hostsOf(host, interfaces).map((each) => tcpMultiaddr(each, port));
  return plain.slice(0, ADDRESSES_MAX).map((address) => withPeerId(address, nodeId));
}

function hostsOf(host: string, interfaces: readonly InterfaceAddress[]): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const usable = interfaces.filter(({ family }) => host === '::' || family === 4);
  const outside = usable.filter(({ internal }) => !internal);
  if (outside.length > 0) return outside.map(({ address }) => address);
  return [host === '::' ? '::1' : '127.0.0.1'];
}

function badAddress(text: string): AddressError {
  return new AddressError('bad-address', `${JSON.stringify(text)} is no address of a peer`);
}
