/** @returns an instant as RFC 3339 in UTC; `wallMs` counts from 1970 */
export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
