import { MetaError } from './engine.ts';

/**
 * Takes fields out of a setting's JSON and checks their types. Absent and `null` are the same.
 * Every method throws MetaError `bad-setting` that names the field.
 */
export class SettingFields {
  /** The JSON as stored. */
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #exact: ReadonlyMap<string, string>;

  /** @throws MetaError `bad-setting` when `bytes` is not the UTF-8 text of a JSON object */
  constructor(bytes: Uint8Array) {
    const exact = new Map<string, string>();
    const parsed = parseJson(bytes, exact);
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw new MetaError('bad-setting', 'setting: not a JSON object');
    }
    this.raw = parsed as Record<string, unknown>;
    this.#exact = exact;
  }

  /** A text; empty when absent. */
  text(field: string): string {
    const value = this.#value(field) ?? '';
    if (typeof value !== 'string') throw badField(field, 'must be a text');
    return value;
  }

  /** A flag; false when absent. */
  flag(field: string): boolean {
    const value = this.#value(field) ?? false;
    if (typeof value !== 'boolean') throw badField(field, 'must be true or false');
    return value;
  }

  /** A whole number in a range; 0 when absent. */
  integer(field: string, min: number, max: number): number {
    const value = this.#value(field) ?? 0;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw badField(field, `must be a whole number from ${min} to ${max}`);
    }
    return value;
  }

  /** An unsigned 64-bit number with all its digits; 0 when absent. */
  unsigned64(field: string): bigint {
    if (this.#value(field) === undefined) return 0n;
    const digits = this.#exact.get(field);
    const value = digits === undefined ? -1n : BigInt(digits);
    if (value < 0n || value >= 1n << 64n) throw badField(field, 'must be a number below 2^64');
    return value;
  }

  #value(field: string): unknown {
    // Not a plain read: `__proto__` and the like must not be found where nothing is stored.
    return Object.hasOwn(this.raw, field) ? (this.raw[field] ?? undefined) : undefined;
  }
}

/** The error for a field that holds what it must not. */
export function badField(field: string, problem: string): MetaError {
  return new MetaError('bad-setting', `setting: ${field} ${problem}`);
}

type Reviver = (
  this: unknown,
  key: string,
  value: unknown,
  context: { source?: string },
) => unknown;

/** Also keeps the digits of whole numbers of the outermost object, which doubles would round. */
function parseJson(bytes: Uint8Array, exact: Map<string, string>): unknown {
  const digitsByHolder = new Map<unknown, Map<string, string>>();
  const keepDigits: Reviver = function keep(key, value, context) {
    const source = context.source ?? '';
    if (typeof value === 'number' && /^[0-9]{1,20}$/.test(source)) {
      const digits = digitsByHolder.get(this) ?? new Map<string, string>();
      digitsByHolder.set(this, digits.set(key, source));
    }
    return value;
  };
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const parsed: unknown = JSON.parse(
      text,
      keepDigits as (key: string, value: unknown) => unknown,
    );
    for (const [key, source] of digitsByHolder.get(parsed) ?? []) exact.set(key, source);
    return parsed;
  } catch (cause) {
    throw new MetaError('bad-setting', 'setting: not valid JSON', { cause });
  }
}
