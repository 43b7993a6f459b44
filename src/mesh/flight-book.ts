import type { BlockId } from '../block/block-key.ts';
import type { BlockFlight } from './block-flight.ts';
import type { Asker, FlightLevel } from './route-plan.ts';

/** Flights that one may wait for: those whose sources do not wait for as many others. */
export const JOINED: Readonly<Record<Asker, readonly FlightLevel[]>> = {
  reader: ['end', 'holder', 'reader'],
  any: ['end', 'holder'],
  final: ['end'],
};
/** All levels, those first that wait for the fewest. */
export const LEVELS = JOINED.reader;

/** Blocks on their way into this node: one flight per block and level at most. */
export class FlightBook {
  readonly #flights = new Map<string, BlockFlight>();

  /** The first flight of a block at one of these levels. */
  find(id: BlockId, levels: readonly FlightLevel[]): BlockFlight | undefined {
    if (this.#flights.size === 0) return undefined;
    for (const level of levels) {
      const flight = this.#flights.get(nameOf(id, level));
      if (flight !== undefined) return flight;
    }
    return undefined;
  }

  /** A flight of a block whose bytes come from the origin now. */
  findAtOrigin(id: BlockId): BlockFlight | undefined {
    return LEVELS.map((level) => this.#flights.get(nameOf(id, level))).find(
      (flight) => flight?.isAtOrigin === true,
    );
  }

  /** A flight begins. */
  enter(id: BlockId, level: FlightLevel, flight: BlockFlight): void {
    this.#flights.set(nameOf(id, level), flight);
  }

  /** A flight is over, or is not to be joined any more; another one may fly under its name. */
  leave(id: BlockId, level: FlightLevel, flight: BlockFlight): void {
    const name = nameOf(id, level);
    if (this.#flights.get(name) === flight) this.#flights.delete(name);
  }

  /** Ends all of them. */
  cancelAll(reason: Error): void {
    for (const flight of this.#flights.values()) flight.cancel(reason);
  }
}

function nameOf(id: BlockId, level: FlightLevel): string {
  return `${id}/${level}`;
}
