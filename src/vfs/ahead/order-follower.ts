/** Readers of one order that are told apart: a few processes that share the files. */
const CURSORS = 6;
/** A step of this many places forward, or back, is still the order: others are in between. */
const STEP_MAX = 8;
/** How far a reader is run ahead of, in places. */
const AHEAD_MAX = 1_024;
/** Weight of the latest step in the score, and the score from which the order is believed. */
const LATEST_WEIGHT = 1 / 8;
const BELIEVED_SCORE = 0.7;

interface Cursor {
  at: number;
  /** The place behind the last one that was handed out for it. */
  next: number;
  movedAt: number;
}

/** Tells whether places are visited in ascending order, by several visitors perhaps, and what comes next. */
export class OrderFollower {
  readonly #cursors: Cursor[] = [];
  #latest: Cursor | undefined;
  #moves = 0;
  #score = 0;

  /** Whether most of the latest visits were in order. */
  get isFollowed(): boolean {
    return this.#score > BELIEVED_SCORE;
  }

  /** A place was visited. */
  note(place: number): void {
    this.#moves += 1;
    const found = this.#find(place);
    this.#score += ((found === undefined ? 0 : 1) - this.#score) * LATEST_WEIGHT;
    const cursor = found ?? this.#begin(place);
    cursor.at = Math.max(cursor.at, place);
    cursor.next = Math.max(cursor.next, place + 1);
    cursor.movedAt = this.#moves;
    this.#latest = cursor;
  }

  /** The next place that the latest visitor will come to and that was not handed out for it yet. */
  next(): number | undefined {
    const cursor = this.#latest;
    if (cursor === undefined || cursor.next - cursor.at > AHEAD_MAX) return undefined;
    cursor.next += 1;
    return cursor.next - 1;
  }

  #find(place: number): Cursor | undefined {
    let best: Cursor | undefined;
    for (const cursor of this.#cursors) {
      const distance = Math.abs(place - cursor.at);
      if (distance > STEP_MAX || place === cursor.at) continue;
      if (best === undefined || distance < Math.abs(place - best.at)) best = cursor;
    }
    return best;
  }

  #begin(place: number): Cursor {
    const cursor = { at: place, next: place + 1, movedAt: this.#moves };
    if (this.#cursors.length < CURSORS) {
      this.#cursors.push(cursor);
      return cursor;
    }
    let oldest = 0;
    this.#cursors.forEach(({ movedAt }, index) => {
      if (movedAt < (this.#cursors[oldest] as Cursor).movedAt) oldest = index;
    });
    this.#cursors[oldest] = cursor;
    return cursor;
  }
}
