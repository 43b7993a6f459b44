import { closeSync, openSync, writeSync } from 'node:fs';
import { FLAGS, flagsOf, octal } from './words.ts';

const descriptors = new Map<string, number>();

/** A descriptor by its name: `%a`. */
export function fd(name = ''): number {
  const found = descriptors.get(name);
  if (found === undefined) throw new Error(`${name} is not open`);
  return found;
}

/** `open %a FILE rw|creat 644`. */
export function open(name: string, path: string, flags: string, mode = '0'): void {
  descriptors.set(name, openSync(path, flagsOf(flags, FLAGS), octal(mode)));
}

/** Closes one, by its name. */
export function close(name: string): void {
  const open_ = fd(name);
  descriptors.delete(name);
  closeSync(open_);
}

/** A file with a content: `create FILE MODE [CONTENT]`. */
export function create(path: string, mode: string, content = ''): void {
  const made = openSync(path, flagsOf('w|creat|excl', FLAGS), octal(mode));
  try {
    if (content !== '') writeSync(made, content);
  } finally {
    closeSync(made);
  }
}

/** Closes all that is open. */
export function closeAll(): void {
  for (const each of descriptors.values()) closeSync(each);
  descriptors.clear();
}
