import { DumpError, JsonEvents, type JsonHandler, type JsonScalar } from './json-events.ts';

/** A value of a dump: what `JSON.parse` would give, with bigints where doubles would round. */
export type DumpValue =
  | JsonScalar
  | readonly DumpValue[]
  | { readonly [name: string]: DumpValue | undefined };

/** Told what a dump holds, in its order. */
export interface DumpSink {
  /** A field of the dump that is no tree: `Setting`, `Counters`, … */
  onHead(name: string, value: DumpValue): void;
  /** A tree (`FSTree`, `Trash`) begins, or what a directory has under a name. */
  onEnter(name: string): void;
  /** A field of what was entered last. */
  onField(name: string, value: DumpValue): void;
  /** That has no more fields. */
  onLeave(): void;
}

const TREES = new Set(['FSTree', 'Trash']);
/** Values of fields are flat; a deeper one is no dump's. */
const VALUE_DEPTH_MAX = 16;

/**
 * Reads a dump of `juicefs dump` or our own while it comes. Values of fields are made whole; of the
 * trees nothing is kept, so memory is bounded by the slices of the longest file.
 */
export class DumpReader implements JsonHandler {
  readonly #sink: DumpSink;
  readonly #json = new JsonEvents(this);
  /** Where we are: in the dump, in a thing with fields, or among the names of a directory. */
  readonly #places: ('dump' | 'entry' | 'entries')[] = [];
  #key = '';
  #value: ValueBuilder | undefined;

  constructor(sink: DumpSink) {
    this.#sink = sink;
  }

  /** @throws DumpError; what the sink throws */
  write(bytes: Uint8Array): void {
    this.#json.write(bytes);
  }

  /** @throws DumpError when the dump has not ended */
  end(): void {
    this.#json.end();
  }

  onKey(name: string): void {
    if (this.#value !== undefined) this.#value.key(name);
    else this.#key = name;
  }

  onStart(kind: '{' | '['): void {
    if (this.#value !== undefined) return this.#value.start(kind);
    const place = this.#places.at(-1);
    if (kind === '{') {
      if (place === undefined) return void this.#places.push('dump');
      if (place === 'entries' || (place === 'dump' && TREES.has(this.#key))) {
        this.#places.push('entry');
        return this.#sink.onEnter(this.#key);
      }
      if (place === 'entry' && this.#key === 'entries') return void this.#places.push('entries');
    }
    if (place === undefined || place === 'entries') throw this.#notAnObject();
    this.#value = new ValueBuilder();
    this.#value.start(kind);
  }

  onEnd(): void {
    if (this.#value !== undefined) {
      this.#value.end();
      if (this.#value.isWhole) this.#field(this.#value.whole);
      return;
    }
    if (this.#places.pop() === 'entry') this.#sink.onLeave();
  }

  onScalar(value: JsonScalar): void {
    if (this.#value !== undefined) return this.#value.scalar(value);
    const place = this.#places.at(-1);
    // Go writes nothing as null.
    if (value === null && place !== undefined && place !== 'entries') return;
    if (place === undefined || place === 'entries') throw this.#notAnObject();
    this.#field(value);
  }

  #field(value: DumpValue): void {
    this.#value = undefined;
    const isTree = TREES.has(this.#key);
    if (this.#places.at(-1) === 'entry') this.#sink.onField(this.#key, value);
    else if (isTree) throw this.#notAnObject();
    else this.#sink.onHead(this.#key, value);
  }

  #notAnObject(): DumpError {
    const what = this.#places.length === 0 ? 'it' : `"${this.#key}"`;
    return new DumpError(`${what} is not an object of a dump`);
  }
}

/** Makes a value of its events. */
class ValueBuilder {
  readonly #open: (DumpValue[] | Record<string, DumpValue>)[] = [];
  readonly #keys: string[] = [];
  #key = '';
  #whole: DumpValue | undefined;

  get isWhole(): boolean {
    return this.#open.length === 0;
  }

  get whole(): DumpValue {
    return this.#whole ?? null;
  }

  key(name: string): void {
    this.#key = name;
  }

  start(kind: '{' | '['): void {
    if (this.#open.length === VALUE_DEPTH_MAX) throw new DumpError('a value is nested too deep');
    const value = kind === '{' ? Object.create(null) : [];
    this.scalar(value as DumpValue);
    this.#keys.push(this.#key);
    this.#open.push(value as DumpValue[]);
  }

  end(): void {
    this.#whole = this.#open.pop();
    this.#key = this.#keys.pop() ?? '';
  }

  scalar(value: DumpValue): void {
    const into = this.#open.at(-1);
    if (Array.isArray(into)) into.push(value);
    else if (into !== undefined) into[this.#key] = value;
  }
}
