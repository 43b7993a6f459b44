/** A run of reads that follow each other, more or less. */
export interface ReadSession {
  /** End of what was read so far. */
  lastOffset: number;
  /** Bytes read in sequence. */
  total: number;
  /** How far to read ahead; below one block: not at all. */
  windowBytes: number;
  usedAtMs: number;
}

/** What decides how far a session reads ahead. */
export interface WindowLimits {
  readonly blockBytes: number;
  /** Of one session. */
  readonly maxBytes: number;
  /** Of all sessions together. */
  readonly budgetBytes: number;
  /** What all sessions together use of the budget now. */
  readonly usedBytes: number;
}

/** Streams that one file handle tells apart. */
const SESSIONS = 2;

/**
 * Recognises sequential reading on one file handle, by JuiceFS's rules: a read belongs to the session
 * it lies in or shortly ahead of, else to one it lies shortly behind, else it begins a new one in
 * place of the least recently used.
 */
export class ReadSessions {
  readonly #sessions: ReadSession[] = [];

  /** The sessions there are, for looking at. */
  get all(): readonly ReadSession[] {
    return this.#sessions;
  }

  /** Takes note of a read. @returns the session, its window adjusted, and what it replaced */
  note(
    read: { offset: number; length: number; nowMs: number },
    limits: WindowLimits,
  ): { session: ReadSession; replaced: ReadSession | undefined } {
    const { offset, length, nowMs } = read;
    const found = this.#find(offset, limits.blockBytes);
    const { session, replaced } = found ?? this.#begin(offset);
    session.usedAtMs = nowMs;
    session.total += length;
    session.windowBytes = windowOf(session, read, limits);
    session.lastOffset = Math.max(session.lastOffset, offset + length);
    return { session, replaced };
  }

  #find(
    offset: number,
    blockBytes: number,
  ): { session: ReadSession; replaced: undefined } | undefined {
    let best: ReadSession | undefined;
    for (const session of this.#sessions) {
      const { lastOffset, windowBytes } = session;
      const inside = lastOffset <= offset && offset <= lastOffset + windowBytes + blockBytes;
      if (inside && (best === undefined || lastOffset > best.lastOffset)) best = session;
    }
    best ??= this.#sessions.find(({ lastOffset, windowBytes }) => {
      const behind = Math.max(windowBytes / 8, blockBytes);
      return offset < lastOffset && offset >= lastOffset - behind;
    });
    return best === undefined ? undefined : { session: best, replaced: undefined };
  }

  #begin(offset: number): { session: ReadSession; replaced: ReadSession | undefined } {
    const session = { lastOffset: offset, total: 0, windowBytes: 0, usedAtMs: 0 };
    if (this.#sessions.length < SESSIONS) {
      this.#sessions.push(session);
      return { session, replaced: undefined };
    }
    let oldest = 0;
    for (let index = 1; index < this.#sessions.length; index += 1) {
      const candidate = this.#sessions[index] as ReadSession;
      if (candidate.usedAtMs < (this.#sessions[oldest] as ReadSession).usedAtMs) oldest = index;
    }
    const replaced = this.#sessions[oldest];
    this.#sessions[oldest] = session;
    return { session, replaced };
  }
}

/** The window after a read; `total` includes the read already. */
function windowOf(
  { total, windowBytes }: ReadSession,
  { offset, length }: { offset: number; length: number },
  { blockBytes, maxBytes, budgetBytes, usedBytes }: WindowLimits,
): number {
  if (windowBytes === 0 && blockBytes <= maxBytes && (offset === 0 || total > length)) {
    return blockBytes;
  }
  if (
    windowBytes > 0 &&
    windowBytes < maxBytes &&
    total >= windowBytes &&
    budgetBytes > usedBytes + 4 * windowBytes
  ) {
    return Math.min(maxBytes, windowBytes * 2);
  }
  const scarce = budgetBytes < usedBytes + windowBytes / 2 || total < windowBytes / 4;
  return windowBytes >= blockBytes && scarce ? windowBytes / 2 : windowBytes;
}
