/** How a link behaves in one direction. */
export interface LinkQuality {
  /** One way. */
  readonly latencyMs: number;
  /** Added to each packet's time at random, up to this. */
  readonly jitterMs: number;
  /** Share of packets that are lost, 0 … 1; they are sent again. */
  readonly lossRate: number;
  /** Share of control messages that are held up for up to {@link REORDER_MS}, so that later ones pass. */
  readonly reorderRate: number;
  /** Share of control messages that arrive twice. */
  readonly duplicateRate: number;
  /** Share of segments of bulk connections in which a bit is wrong, and TCP does not see it. */
  readonly flipRate: number;
  /** Bytes per millisecond that the link carries. */
  readonly bytesPerMs: number;
}

/** A message that is held up comes up to so much later. */
export const REORDER_MS = 50;

/** A rack's network: 0.1 ms one way, 10 Gb/s. */
export const GOOD_LINK: LinkQuality = {
  latencyMs: 0.1,
  jitterMs: 0.05,
  lossRate: 0,
  reorderRate: 0,
  duplicateRate: 0,
  flipRate: 0,
  bytesPerMs: 1_250_000,
};

/** Which nodes a change concerns: those named, or all. */
export interface LinkChange {
  readonly from: number | undefined;
  readonly to: number | undefined;
}

/** The state of all links between nodes, which faults change for a while. */
export class LinkRules {
  readonly #base: LinkQuality;
  readonly #changes = new Set<LinkChange & { readonly quality: Partial<LinkQuality> }>();
  readonly #cuts = new Set<(from: number, to: number) => boolean>();

  constructor(base: LinkQuality) {
    this.#base = base;
  }

  /** Whether packets from one node reach another at all. */
  isCut(from: number, to: number): boolean {
    for (const cut of this.#cuts) if (cut(from, to)) return true;
    return false;
  }

  /** The link from one node to another: the latest change that concerns it wins. */
  quality(from: number, to: number): LinkQuality {
    let quality = this.#base;
    for (const change of this.#changes) {
      const concerns =
        (change.from === undefined || change.from === from) &&
        (change.to === undefined || change.to === to);
      if (concerns) quality = { ...quality, ...change.quality };
    }
    return quality;
  }

  /** @returns ends it */
  change(where: LinkChange, quality: Partial<LinkQuality>): () => void {
    const change = { ...where, quality };
    this.#changes.add(change);
    return () => void this.#changes.delete(change);
  }

  /** Drops all packets for which `isCut` says so. @returns ends it */
  cut(isCut: (from: number, to: number) => boolean): () => void {
    this.#cuts.add(isCut);
    return () => void this.#cuts.delete(isCut);
  }
}
