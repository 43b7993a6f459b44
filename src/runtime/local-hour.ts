/** The hour of the day, 0 … 23, that clocks on the wall show here. @param wallMs - ms since 1970 */
export function localHour(wallMs: number): number {
  return new Date(wallMs).getHours();
}
