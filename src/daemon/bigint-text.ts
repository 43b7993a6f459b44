/** For `JSON.stringify`: bigints, which it does not take, as text. */
export function bigintText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
