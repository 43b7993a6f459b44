import { CodedError } from '../runtime/coded-error.ts';

/** Something the user said makes no sense; the message names the option and the value. */
export class UsageError extends CodedError<'usage'> {
  constructor(message: string) {
    super('usage', message);
  }
}

const SIZE = /^(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$/i;
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
  P: 2 ** 50,
};
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/;
const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * @param bareUnit - what a bare number counts; JuiceFS has MiB for most options
 * @returns bytes. @throws UsageError
 */
export function parseSize(
  option: string,
  text: string,
  bareUnit: 'B' | 'K' | 'M' | 'G' = 'M',
): number {
  const match = SIZE.exec(text.trim());
  if (match === null) throw new UsageError(`${option}: "${text}" is no size (like 512M or 100G)`);
  const unit = SIZE_UNITS[(match[2] || bareUnit).toUpperCase()] as number;
  const bytes = Math.floor(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`${option}: "${text}" is too large`);
  return bytes;
}

/** @returns milliseconds; a bare number counts seconds, as in JuiceFS. @throws UsageError */
export function parseDuration(option: string, text: string): number {
  const match = DURATION.exec(text.trim());
  if (match === null) {
    throw new UsageError(`${option}: "${text}" is no duration (like 1s, 500ms or 0)`);
  }
  return Number(match[1]) * (DURATION_UNITS[match[2] ?? 's'] as number);
}

/** @returns a whole number in the given bounds. @throws UsageError */
export function parseWhole(option: string, text: string, bounds: { min: number; max: number }) {
  const value = Number(text);
  if (!/^\d+$/.test(text.trim()) || value < bounds.min || value > bounds.max) {
    throw new UsageError(
      `${option}: "${text}" is not a whole number from ${bounds.min} to ${bounds.max}`,
    );
  }
  return value;
}

/** @returns a number in the given bounds. @throws UsageError */
export function parseRatio(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value < 1)) {
    throw new UsageError(`${option}: "${text}" is not a ratio (0 ≤ ratio < 1)`);
  }
  return value;
}

/** @returns one of `choices`. @throws UsageError that lists them */
export function parseChoice<T extends string>(option: string, text: string, choices: readonly T[]) {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) {
    throw new UsageError(`${option}: "${text}" is none of ${choices.join(', ')}`);
  }
  return found;
}

/** @returns host and port of `HOST:PORT`, `[V6]:PORT` or `:PORT`. @throws UsageError */
export function parseAddress(option: string, text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*)):(\d+)$/.exec(text.trim());
  if (match === null) throw new UsageError(`${option}: "${text}" is no address like 0.0.0.0:9567`);
  const port = parseWhole(option, match[3] as string, { min: 0, max: 65_535 });
  return { host: match[1] ?? (match[2] || '0.0.0.0'), port };
}
