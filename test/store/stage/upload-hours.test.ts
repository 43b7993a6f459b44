import { expect, test } from 'vitest';
import { isUploadHour, parseUploadHours } from '../../../src/store/stage/upload-hours.ts';

const at = (hour: number) => new Date(2026, 0, 1, hour, 30).getTime();
const open = (text: string) => {
  const hours = parseUploadHours(text);
  if (hours === undefined) return undefined;
  return Array.from({ length: 24 }, (_, hour) => hour).filter((hour) =>
    isUploadHour(hours, at(hour)),
  );
};

test('hours are a pair, also across midnight; the same twice is always', () => {
  expect(open('2-5')).toEqual([2, 3, 4]);
  expect(open('22,1')).toEqual([0, 22, 23]);
  expect(open('7-7')).toHaveLength(24);
});

test.each(['', '5', '1-24', '-1-4', '1-2-3', 'a-b'])('"%s" is none', (text) => {
  expect(parseUploadHours(text)).toBeUndefined();
});
