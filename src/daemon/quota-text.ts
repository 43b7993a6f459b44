import Table from 'cli-table3';
import { bigintText } from './bigint-text.ts';
import { byteText } from './byte-text.ts';
import { isWrong, type QuotaLine } from './quota-book.ts';

/** Quotas as a table for people. */
export function quotaTable(lines: readonly QuotaLine[]): string {
  const right = Array.from({ length: 4 }, () => 'right' as const);
  const isCheck = lines.some(({ actual }) => actual !== undefined);
  const table = new Table({
    head: ['of', 'size', 'used', 'inodes', 'used', ...(isCheck ? ['found'] : [])],
    colAligns: ['left', ...right],
  });
  for (const line of lines) {
    const { maxBytes, maxInodes, usedBytes, usedInodes } = line.quota;
    const found = isWrong(line)
      ? `${byteText(Number(line.actual?.space))}, ${line.actual?.inodes} inodes`
      : 'the same';
    table.push([
      ...[line.name, maxBytes > 0n ? byteText(Number(maxBytes)) : 'no limit'],
      ...[byteText(Number(usedBytes)), maxInodes > 0n ? String(maxInodes) : 'no limit'],
      ...[String(usedInodes), ...(isCheck ? [found] : [])],
    ]);
  }
  return table.toString();
}

/** The same as JSON. */
export function quotaJson(lines: readonly QuotaLine[]): string {
  const all = lines.map(({ key, quota, actual }) => ({
    ...key,
    ...quota,
    ...(actual !== undefined && { foundBytes: actual.space, foundInodes: actual.inodes }),
  }));
  return JSON.stringify(all, bigintText, 2);
}
