import { expect, it } from 'vitest';
import type { Caller } from '../../src/meta/caller.ts';
import type { RenameFlags } from '../../src/meta/writer.ts';
import { ROOT_INO, toIno, TRASH_INO } from '../../src/posix/ino.ts';
import { refusal, text, user, type WriterBench } from './writer-bench.ts';

const NOWHERE = toIno(999_999n);

/** Names that move. */
export function renamingContract(given: () => WriterBench): void {
  const move = (
    bench: WriterBench,
    [from, a]: readonly [bigint, string],
    [to, b]: readonly [bigint, string],
    { flags = {}, caller = user(0) }: { flags?: RenameFlags; caller?: Caller } = {},
  ) =>
    bench.writer.rename(
      { parent: toIno(from), name: text(a) },
      { parent: toIno(to), name: text(b) },
      flags,
      bench.as(caller),
    );

  it('moves files and directories, also over what is there', async () => {
    const bench = given();
    const [x, y] = [await bench.mkdir('x'), await bench.mkdir('y')];
    const [f, g] = [await bench.file('f', x, 100), await bench.file('g', y, 50_000)];
    const [d, e] = [await bench.mkdir('d', x), await bench.mkdir('e', y)];
    expect((await move(bench, [x, 'f'], [x, 'f2'])).moved?.ino).toBe(f);
    await bench.sound();
    const over = await move(bench, [x, 'f2'], [y, 'g']);
    expect(over.replaced).toEqual({ ino: g, attr: undefined });
    expect(await bench.attr(f)).toMatchObject({ parent: y });
    await bench.sound();
    expect((await move(bench, [x, 'd'], [y, 'e'])).replaced).toEqual({ ino: e, attr: undefined });
    expect(await bench.attr(d)).toMatchObject({ parent: y });
    const state = await bench.sound();
    expect([state.nodes.get(x)?.nlink, state.nodes.get(y)?.nlink]).toEqual([2, 3]);
    expect(state.deleted.get(g)).toBe(50_000n);
    const inner = await bench.mkdir('inner', d);
    await bench.mkdir('target', y);
    await move(bench, [d, 'inner'], [d, 'renamed']);
    await move(bench, [y, 'target'], [d, 'renamed']);
    expect((await bench.sound()).nodes.has(inner)).toBe(false);
  });

  it('keeps an open file that is replaced, and moves hard links', async () => {
    const bench = given();
    const [x, y] = [await bench.mkdir('hx'), await bench.mkdir('hy')];
    const [f, g] = [await bench.file('f', x, 10), await bench.file('g', y, 20)];
    await bench.writer.link(f, { parent: y, name: text('f-too') }, bench.root);
    await bench.writer.link(g, { parent: x, name: text('g-too') }, bench.root);
    await move(bench, [x, 'f'], [y, 'f-moved']);
    await bench.sound();
    expect(await move(bench, [y, 'f-moved'], [y, 'f-too'])).toEqual({
      moved: undefined,
      replaced: undefined,
    });
    const over = await move(bench, [y, 'f-moved'], [y, 'g']);
    expect(over.replaced?.attr?.nlink).toBe(1);
    await bench.sound();
    bench.writer.opened(g);
    await move(bench, [y, 'f-too'], [x, 'g-too']);
    expect((await bench.sound()).sustained).toEqual([`${bench.sid} ${g}`]);
    await bench.writer.closed(g, bench.root.signal);
    expect((await bench.sound()).nodes.has(g)).toBe(false);
  });

  it('refuses moves that cannot be', async () => {
    const bench = given();
    const dir = await bench.mkdir('moves', ROOT_INO, 0o777);
    const [a, b] = [await bench.mkdir('a', dir), await bench.mkdir('b', dir)];
    const deep = await bench.mkdir('deep', a);
    const file = await bench.file('f', dir);
    await bench.file('in b', b);
    expect(await refusal(bench, () => move(bench, [dir, 'no'], [dir, 'x']))).toBe('ENOENT');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [NOWHERE, 'x']))).toBe('ENOENT');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [file, 'x']))).toBe('ENOTDIR');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [dir, 'a']))).toBe('EISDIR');
    expect(await refusal(bench, () => move(bench, [dir, 'a'], [dir, 'f']))).toBe('ENOTDIR');
    expect(await refusal(bench, () => move(bench, [dir, 'a'], [dir, 'b']))).toBe('ENOTEMPTY');
    expect(await refusal(bench, () => move(bench, [dir, 'a'], [a, 'x']))).toBe('EINVAL');
    expect(await refusal(bench, () => move(bench, [dir, 'a'], [deep, 'x']))).toBe('EINVAL');
    expect(
      await refusal(bench, () =>
        move(bench, [dir, 'f'], [dir, 'b'], { flags: { noReplace: true } }),
      ),
    ).toBe('EEXIST');
    expect(
      await refusal(bench, () =>
        move(bench, [dir, 'f'], [dir, 'x'], { flags: { exchange: true } }),
      ),
    ).toBe('ENOENT');
    expect(
      await refusal(bench, () =>
        move(bench, [dir, 'f'], [dir, 'b'], { flags: { exchange: true, noReplace: true } }),
      ),
    ).toBe('EINVAL');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [TRASH_INO, 'x']))).toBe('EPERM');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [ROOT_INO, '.trash']))).toBe('EPERM');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [dir, 'a/b']))).toBe('EINVAL');
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [a, 'x'], { caller: user(3) }))).toBe(
      'EACCES',
    );
    await bench.writer.setattr(dir, { mode: 0o1777 }, bench.root);
    expect(
      await refusal(bench, () => move(bench, [dir, 'f'], [dir, 'x'], { caller: user(3) })),
    ).toBe('EACCES');
    await bench.writer.setattr(file, { flags: 1 }, bench.root);
    expect(await refusal(bench, () => move(bench, [dir, 'f'], [dir, 'x']))).toBe('EPERM');
    await bench.writer.setattr(file, { flags: 0 }, bench.root);
    expect((await move(bench, [dir, 'f'], [dir, 'f'])).moved).toBeUndefined();
  });
}

/** Names that change places. */
export function exchangeContract(given: () => WriterBench): void {
  it('exchanges names, in one directory and across', async () => {
    const bench = given();
    const [x, y] = [await bench.mkdir('ex'), await bench.mkdir('ey')];
    const [f, d] = [await bench.file('f', x, 5000), await bench.mkdir('d', y)];
    await bench.file('below', d, 9000);
    const swap = (from: bigint, a: string, to: bigint, b: string) =>
      bench.writer.rename(
        { parent: toIno(from), name: text(a) },
        { parent: toIno(to), name: text(b) },
        { exchange: true },
        bench.root,
      );
    const swapped = await swap(x, 'f', y, 'd');
    expect(swapped.moved?.ino).toBe(f);
    expect(swapped.replaced?.ino).toBe(d);
    const state = await bench.sound();
    expect([state.nodes.get(x)?.nlink, state.nodes.get(y)?.nlink]).toEqual([3, 2]);
    await bench.writer.link(f, { parent: x, name: text('f-too') }, bench.root);
    await swap(x, 'f', y, 'd');
    await bench.sound();
    await swap(x, 'f-too', x, 'f').catch(() => undefined);
    await bench.sound();
    const inner = await bench.mkdir('inner', x);
    await bench.mkdir('deep', inner);
    expect(await refusal(bench, () => swap(ROOT_INO, 'ex', inner, 'deep'))).toBe('EINVAL');
    expect(await refusal(bench, () => swap(inner, 'deep', ROOT_INO, 'ex'))).toBe('EINVAL');
  });
}
