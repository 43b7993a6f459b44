/**
 * What a session says of itself: the fields of JuiceFS's session JSON, and one of ours that stock
 * clients ignore.
 */
export interface SessionInfo {
  readonly Version: string;
  readonly HostName: string;
  readonly IPAddrs?: readonly string[];
  readonly MountPoint: string;
  /** RFC 3339. */
  readonly MountTime: string;
  readonly ProcessID: number;
  /** Only in sessions of cachemesh daemons. */
  readonly CacheMesh?: SessionMember;
}

/** How other members of the cache group reach this one. */
export interface SessionMember {
  /** Name of the cache group. */
  readonly Group: string;
  /** libp2p peer id. */
  readonly PeerId: string;
  /** Multiaddrs. */
  readonly Addrs: readonly string[];
  /** Relative share of the blocks, 0 … 1000; 0 owns nothing. */
  readonly Weight: number;
  /** Where it stands, e.g. a rack. */
  readonly Zone?: string;
  /** Does not serve others. */
  readonly NoSharing: boolean;
}

/** A session found in the metadata. */
export interface SessionRecord {
  readonly sid: bigint;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
  /** Undefined when the session's JSON is missing or malformed. */
  readonly info: SessionInfo | undefined;
}
