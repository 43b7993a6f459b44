import type { NodeId } from '../block/node-id.ts';
import type { Random } from '../runtime/random.ts';
import { BulkTls } from './bulk-tls.ts';
import type { GroupName } from './group-control.ts';
import type { GroupKey } from './group-key.ts';
import type { ProofOptions } from './member-proof.ts';
import type { VersionRange } from './protocol-version.ts';

/** What a node needs to prove itself; plain enough to be handed to a worker thread. */
export interface MemberCredentials {
  readonly self: NodeId;
  readonly name: GroupName;
  readonly key: GroupKey;
  readonly versions: VersionRange;
  /** Bulk connections are encrypted, and others are refused; the same in all of the group. */
  readonly encrypted?: boolean | undefined;
}

const UNENCRYPTED: Uint8Array = new Uint8Array(0);

/** What a member proves on a bulk connection. @param channel - see {@link ProofOptions.channel} */
export function bulkProof(
  { self, name, key, versions }: MemberCredentials,
  random: Random,
  channel = UNENCRYPTED,
): ProofOptions {
  const context = JSON.stringify(['bulk', name.volumeId, name.group]);
  return { key, self, versions, context, channel, random };
}
/** How this member encrypts bulk connections; undefined: it does not. */
export function bulkTlsOf({ key, encrypted }: MemberCredentials): BulkTls | undefined {
  return encrypted === true ? new BulkTls(key) : undefined;
}

/**
 * What a member proves on a control connection. Group and volume are looked at later, so that who
 * names a wrong one hears which.
 */
export function controlProof(
  { self, key, versions }: MemberCredentials,
  random: Random,
): ProofOptions {
  return {
    key,
    self,
    versions,
    context: JSON.stringify(['control']),
    channel: UNENCRYPTED,
    random,
  };
}
