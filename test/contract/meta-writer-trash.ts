import { describe, expect, it } from 'vitest';
import { type Ino, ROOT_INO, TRASH_INO, toIno } from '../../src/posix/ino.ts';
import {
  benchOn,
  type Given,
  type MakeVolume,
  refusal,
  text,
  user,
  type WriterBench,
} from './writer-bench.ts';

const HOUR = '2026-01-02-03';
const HOUR_INO = toIno(TRASH_INO + 1n);

/** What goes to the trash, and comes back. */
export function trashContract(make: MakeVolume): void {
  describe('the trash', () => {
    const given = benchOn(() => make({ TrashDays: 1 }), {
      wallMs: () => Date.UTC(2026, 0, 2, 3, 4),
    });
    goingContract(given);
    returningContract(given);
  });
}

const unlink = (bench: WriterBench, parent: Ino, name: string, options = {}) =>
  bench.writer.unlink({ parent, name: text(name) }, bench.root, options);

function goingContract(given: Given): void {
  it('a removed file lies there under its parent’s, its own number and its name', async () => {
    const bench = given();
    const dir = await bench.mkdir('d');
    const ino = await bench.file('f', dir, 5000);
    const { attr } = await unlink(bench, dir, 'f');
    expect(attr).toMatchObject({ nlink: 1, parent: HOUR_INO });
    expect((await bench.find(HOUR, TRASH_INO))?.ino).toBe(HOUR_INO);
    expect((await bench.find(`${dir}-${ino}-f`, HOUR_INO))?.ino).toBe(ino);
    const state = await bench.sound();
    expect(state.dirStats.get(HOUR_INO)).toEqual({ length: 5000n, space: 8192n, inodes: 1n });
    expect(state.deleted.size).toBe(0);
    const { attr: gone } = await bench.writer.rmdir(
      { parent: ROOT_INO, name: text('d') },
      bench.root,
    );
    expect(gone).toMatchObject({ nlink: 2, parent: HOUR_INO });
    expect((await bench.sound()).dirStats.has(dir)).toBe(false);
  });

  it('hard links go there one by one, the same name only once', async () => {
    const bench = given();
    const dir = await bench.mkdir('links');
    const ino = await bench.file('a', dir, 100);
    await bench.writer.link(ino, { parent: dir, name: text('b') }, bench.root);
    expect((await unlink(bench, dir, 'a')).attr).toMatchObject({ nlink: 2, parent: 0n });
    await bench.sound();
    await bench.writer.link(ino, { parent: dir, name: text('a') }, bench.root);
    expect((await unlink(bench, dir, 'a')).attr?.nlink).toBe(2);
    await bench.sound();
    await unlink(bench, dir, 'b', { skipTrash: true });
  });

  it('a long name is cut', async () => {
    const bench = given();
    const name = 'x'.repeat(255);
    const ino = await bench.file(name);
    await unlink(bench, ROOT_INO, name);
    const cut = `1-${ino}-${name}`.slice(0, 255);
    expect((await bench.find(cut, HOUR_INO))?.ino).toBe(ino);
  });

  it('what is replaced goes there, what is told to skip it does not', async () => {
    const bench = given();
    const dir = await bench.mkdir('replace');
    const over = await bench.file('over', dir, 10);
    await bench.file('by', dir);
    const at = (name: string) => ({ parent: dir, name: text(name) });
    await bench.writer.rename(at('by'), at('over'), {}, bench.root);
    expect((await bench.attr(over)).parent).toBe(HOUR_INO);
    const [e1] = [await bench.mkdir('e1', dir), await bench.mkdir('e2', dir)];
    await bench.writer.rename(at('e2'), at('e1'), {}, bench.root);
    expect((await bench.attr(e1)).parent).toBe(HOUR_INO);
    await bench.sound();
    const skipping = await bench.file('skipping', dir);
    await bench.writer.setattr(skipping, { flags: 32 }, bench.root);
    expect((await unlink(bench, dir, 'skipping')).attr).toBeUndefined();
    await bench.file('at once', dir);
    expect((await unlink(bench, dir, 'at once', { skipTrash: true })).attr).toBeUndefined();
  });

  it('what lies there cannot be changed, but written by who has it open', async () => {
    const bench = given();
    const dir = await bench.mkdir('frozen');
    const ino = await bench.file('f', dir, 10);
    await unlink(bench, dir, 'f');
    expect(await refusal(bench, () => bench.writer.setattr(ino, { mode: 0 }, bench.root))).toBe(
      'EPERM',
    );
    expect(await refusal(bench, () => bench.writer.truncate(ino, 0n, bench.root))).toBe('EPERM');
    await bench.write(ino, 10, 10_000);
    await bench.writer.rmdir({ parent: ROOT_INO, name: text('frozen') }, bench.root);
    expect(await refusal(bench, () => bench.file('x', dir))).toBe('ENOENT');
    const link = () => bench.writer.link(ino, { parent: dir, name: text('l') }, bench.root);
    expect(await refusal(bench, link)).toBe('ENOENT');
  });
}

function returningContract(given: Given): void {
  it('root takes things out, and removes them for good', async () => {
    const bench = given();
    const ino = await bench.file('back', ROOT_INO, 9000);
    await unlink(bench, ROOT_INO, 'back');
    const from = { parent: HOUR_INO, name: text(`1-${ino}-back`) };
    const to = { parent: ROOT_INO, name: text('back') };
    const flags = { noReplace: true, restore: true };
    const restore = (caller = user(0)) => bench.writer.rename(from, to, flags, bench.as(caller));
    expect(await refusal(bench, () => restore(user(5)))).toBe('EPERM');
    expect((await restore()).moved?.attr.parent).toBe(ROOT_INO);
    await bench.sound();
    await unlink(bench, ROOT_INO, 'back');
    const remove = (caller = user(0)) => bench.writer.unlink(from, bench.as(caller));
    expect(await refusal(bench, () => remove(user(5)))).toBe('EPERM');
    expect((await remove()).attr).toBeUndefined();
    expect((await bench.sound()).deleted.get(ino)).toBe(9000n);
  });
}
