import type { SessionInfo, SessionMember } from './session.ts';

/** @see SessionMember.Weight */
const WEIGHT_MAX = 1000;

/** The JSON that is stored for a session; other clients read it too. */
export function encodeSessionInfo(info: SessionInfo): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(info));
}

/**
 * Reads a session's JSON. It is written by many kinds and releases of clients, so all that is asked
 * for is an object; fields of a wrong type count as empty, a wrong `CacheMesh` as absent.
 *
 * @returns undefined when it is not a JSON object
 */
export function decodeSessionInfo(bytes: Uint8Array): SessionInfo | undefined {
  const fields = parseObject(bytes);
  if (fields === undefined) return undefined;
  const addresses = textList(fields['IPAddrs']);
  const member = readMember(fields['CacheMesh']);
  return {
    Version: text(fields['Version']),
    HostName: text(fields['HostName']),
    ...(addresses === undefined ? {} : { IPAddrs: addresses }),
    MountPoint: text(fields['MountPoint']),
    MountTime: text(fields['MountTime']),
    ProcessID: typeof fields['ProcessID'] === 'number' ? fields['ProcessID'] : 0,
    ...(member === undefined ? {} : { CacheMesh: member }),
  };
}

function readMember(value: unknown): SessionMember | undefined {
  if (!isObject(value)) return undefined;
  const { Group, PeerId, Weight, NoSharing, Zone } = value;
  const Addrs = textList(value['Addrs']);
  if (typeof Group !== 'string' || typeof PeerId !== 'string' || PeerId === '') return undefined;
  if (typeof Weight !== 'number' || !(Weight >= 0 && Weight <= WEIGHT_MAX)) return undefined;
  if (typeof NoSharing !== 'boolean' || Addrs === undefined) return undefined;
  const zone = typeof Zone === 'string' ? { Zone } : {};
  return { Group, PeerId, Addrs, Weight, NoSharing, ...zone };
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function textList(value: unknown): string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.every((item) => typeof item === 'string') ? value : undefined;
}
