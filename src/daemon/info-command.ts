import { lstat, realpath } from 'node:fs/promises';
import path from 'node:path';
import Table from 'cli-table3';
import { askDaemon } from './control-socket.ts';
import type { FileReport } from './file-report.ts';
import { findMount } from './mount-table.ts';
import { UsageError } from './quantities.ts';

/** Asks the daemon that serves a path about it, and prints the answer. */
export async function printInfo(target: string, options: { json: boolean }): Promise<void> {
  // The last part is not followed: a symlink has an inode of its own.
  const parent = await realpath(path.dirname(path.resolve(target)));
  const resolved = path.join(parent, path.basename(path.resolve(target)));
  const mount = await findMount(resolved);
  if (mount === undefined) throw new UsageError(`${target}: not in a cachemesh mount`);
  const { ino } = await lstat(resolved, { bigint: true });
  const report = (await askDaemon(mount.mountpoint, `/info?ino=${ino}`)) as FileReport;
  const text = options.json ? JSON.stringify(report, undefined, 2) : tablesOf(target, report);
  process.stdout.write(`${text}\n`);
}

function tablesOf(target: string, report: FileReport): string {
  const about = new Table({ head: ['path', target] });
  about.push(['inode', report.ino], ['type', report.type], ['length', report.length]);
  about.push(['mode', report.mode], ['owner', `${report.uid}:${report.gid}`]);
  about.push(['mtime', report.mtime]);
  const slices = new Table({ head: ['chunk', 'pos', 'slice', 'size', 'off', 'len'] });
  for (const slice of report.slices) {
    slices.push([slice.chunk, slice.pos, slice.sliceId, slice.size, slice.off, slice.len]);
  }
  const blocks = new Table({ head: ['object', 'bytes', 'owner', 'held by'] });
  for (const block of report.blocks) {
    const holders = block.heldBy.map(({ node, tier }) => `${node} (${tier})`);
    blocks.push([block.object, block.sizeBytes, block.owner ?? '', holders.join('\n')]);
  }
  return [about, slices, blocks].map(String).join('\n');
}
