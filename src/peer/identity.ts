import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
} from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { type NodeId, toNodeId } from '../block/node-id.ts';
import { CodedError } from '../runtime/coded-error.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';

/** `damaged`: the file is there but holds no key; `unreadable`: the system refused. */
export type IdentityErrorCode = 'damaged' | 'unreadable';

/** The identity file is of no use; the message names it. */
export class IdentityError extends CodedError<IdentityErrorCode> {}

/** Who this node is: an Ed25519 key, and the peer id that libp2p derives from it. */
export interface PeerIdentity {
  readonly nodeId: NodeId;
  readonly privateKey: PrivateKey;
}

/** First line of the file; the second is the base64 of libp2p's protobuf of the key. */
const TITLE = 'cachemesh identity v1';
const FILE = new RegExp(`^${TITLE}\n([A-Za-z0-9+/]+=*)\n$`);
/** Raw Ed25519 key: 32 bytes of seed, 32 of public key (libp2p's peer id specification). */
const SEED_BYTES = 32;

/** An identity for this run only. */
export async function freshIdentity(): Promise<PeerIdentity> {
  return identityOf(await generateKeyPair('Ed25519'));
}

/**
 * The identity in `path`, or a new one that is kept there with mode 0600. When several processes
 * come at once, all get the same one.
 *
 * A damaged file is set aside as `PATH.damaged`, and this node is somebody new: for the group that
 * is a member that left and one that joined, while a daemon that does not start is a job that fails.
 *
 * @param parts - `random` names the temporary file; `logger` hears of a damaged file
 * @throws IdentityError (`unreadable`) that names the file
 */
export async function loadOrCreateIdentity(
  path: string,
  parts: { readonly random: Random; readonly logger: Logger },
): Promise<PeerIdentity> {
  try {
    return (await loadUndamaged(path, parts.logger)) ?? (await create(path, parts.random));
  } catch (cause) {
    if (cause instanceof IdentityError) throw cause;
    throw new IdentityError('unreadable', `the identity file ${path} cannot be used`, { cause });
  }
}

async function loadUndamaged(path: string, logger: Logger): Promise<PeerIdentity | undefined> {
  try {
    return await load(path);
  } catch (error) {
    if (!(error instanceof IdentityError)) throw error;
    const kept = `${path}.damaged`;
    await rename(path, kept);
    logger.error(
      { path: kept, err: error },
      'the identity file was damaged: this node gets a new id',
    );
    return undefined;
  }
}

async function load(path: string): Promise<PeerIdentity | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const encoded = FILE.exec(text)?.[1];
  if (encoded === undefined) throw damaged(path, undefined);
  let privateKey: PrivateKey;
  try {
    privateKey = privateKeyFromProtobuf(Buffer.from(encoded, 'base64'));
    const derived = await generateKeyPairFromSeed('Ed25519', privateKey.raw.slice(0, SEED_BYTES));
    if (!derived.equals(privateKey)) throw new Error('its two halves do not belong together');
  } catch (cause) {
    throw damaged(path, cause);
  }
  return identityOf(privateKey);
}

async function create(path: string, random: Random): Promise<PeerIdentity> {
  const identity = await freshIdentity();
  const encoded = Buffer.from(privateKeyToProtobuf(identity.privateKey)).toString('base64');
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${Buffer.from(random.bytes(8)).toString('hex')}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${TITLE}\n${encoded}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike a rename, a link never replaces what another process put there a moment ago.
    await link(temporary, path);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    const other = await load(path);
    if (other === undefined) throw error;
    return other;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncFolder(dirname(path));
  return identity;
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function identityOf(privateKey: PrivateKey): PeerIdentity {
  return { nodeId: toNodeId(peerIdFromPrivateKey(privateKey).toString()), privateKey };
}

function damaged(path: string, cause: unknown): IdentityError {
  return new IdentityError('damaged', `the identity file ${path} is damaged`, { cause });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
