import { localHour } from '../../runtime/local-hour.ts';

const HOURS = /^(\d{1,2})[-,](\d{1,2})$/;

/** Hours of the day in which staged blocks are uploaded, local time (`--upload-hours`). */
export interface UploadHours {
  /** 0 … 23 */
  readonly start: number;
  /** 0 … 23; the first hour in which nothing is uploaded. The same as `start`: always. */
  readonly end: number;
}

/** @returns undefined when `text` is no pair of hours such as `22-6` */
export function parseUploadHours(text: string): UploadHours | undefined {
  const match = HOURS.exec(text);
  const start = Number(match?.[1]);
  const end = Number(match?.[2]);
  return start <= 23 && end <= 23 ? { start, end } : undefined;
}

/** Whether blocks are uploaded at a time. @param wallMs - ms since 1970 */
export function isUploadHour(hours: UploadHours, wallMs: number): boolean {
  const { start, end } = hours;
  const hour = localHour(wallMs);
  if (start <= end) return start === end || (hour >= start && hour < end);
  return hour >= start || hour < end;
}
