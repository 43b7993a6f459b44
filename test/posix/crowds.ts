import { closeSync, constants, openSync, symlinkSync, unlinkSync } from 'node:fs';
import { create, fd } from './descriptors.ts';
import * as calls from './system-calls.ts';

const PAGE_BYTES = 4096;
const NAME_DIGITS = 100;
const listed: string[] = [];

/** Makes files `PREFIX0 … PREFIX(count - 1)`, whose names fill several pages of a listing. */
export function many(prefix: string, count: string): void {
  for (let index = 0; index < Number(count); index += 1) create(numbered(prefix, index), '644');
}

/** Removes them again. */
export function gone(prefix: string, count: string): void {
  for (let index = 0; index < Number(count); index += 1) unlinkSync(numbered(prefix, index));
}

function numbered(prefix: string, index: number): string {
  return `${prefix}${String(index).padStart(NAME_DIGITS, '0')}`;
}

/** Gives a file so many names more. */
export function linkmany(path: string, prefix: string, count: string): void {
  for (let index = 0; index < Number(count); index += 1) {
    calls.link(path, numbered(prefix, index), 0);
  }
}

/** Symlinks `l1` to `lN`, each naming the one before. */
export function symlinkmany(count: string): void {
  for (let index = 1; index <= Number(count); index += 1) symlinkSync(`l${index - 1}`, `l${index}`);
}

/** Removes all files of a directory, each as soon as it is listed. */
export function emptied(path: string): void {
  const opened = openSync(path, constants.O_RDONLY);
  try {
    for (;;) {
      const names = calls.getdents(opened, PAGE_BYTES);
      if (names.length === 0) return;
      for (const name of names) if (!/^\.\.?$/.test(name)) unlinkSync(`${path}/${name}`);
    }
  } finally {
    closeSync(opened);
  }
}

/** Reads so many pages of a directory. */
export function readsome(name: string, pages: string): void {
  for (let page = 0; page < Number(pages); page += 1) {
    const names = calls.getdents(fd(name), PAGE_BYTES);
    if (names.length === 0) return;
    listed.push(...names);
  }
}

/** How many names with a prefix were read since the case began, and how many of them twice. */
export function seen(prefix: string): string {
  const names = listed.filter((each) => each.startsWith(prefix));
  return `${new Set(names).size},${names.length - new Set(names).size}`;
}

/** Forgets what was read. */
export function relist(): void {
  listed.length = 0;
}
