import { describe, expect, it } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { benchOn, type MakeVolume, refusal, text, user, type WriterBench } from './writer-bench.ts';

const PLAIN = { preserve: false, umask: 0o022 };

/** Trees that are copied by their metadata. */
export function cloneContract(make: MakeVolume): void {
  describe('clone', () => {
    const given = benchOn(() => make({ DirStats: true }));

    const tree = async (bench: WriterBench, name: string) => {
      const top = await bench.mkdir(name, ROOT_INO, 0o777);
      const file = await bench.file('file', top, 5000);
      await bench.write(file, 2 ** 26, 3000);
      const sub = await bench.mkdir('sub', top, 0o700);
      await bench.file('inner', sub, 10);
      const link = { type: FileType.symlink, mode: 0o777, umask: 0, target: text('file') };
      await bench.writer.mknod({ parent: sub, name: text('link') }, link, bench.root);
      await bench.writer.link(file, { parent: sub, name: text('hard') }, bench.root);
      const xattr = { name: text('user.a'), value: text('1'), how: 'any' } as const;
      await bench.writer.setxattr(file, xattr, bench.root);
      return { top, file, sub };
    };
    const clone = (bench: WriterBench, source: Ino, name: string, call = bench.root) =>
      bench.writer.clone(source, { parent: ROOT_INO, name: text(name) }, PLAIN, call);

    it('has all that the tree has, with files of its own that share slices', async () => {
      const bench = given();
      const { top, file } = await tree(bench, 'a');
      await clone(bench, top, 'b', bench.as({ ...user(7, 8), checkPerm: false }));
      const state = await bench.sound();
      const copy = await bench.find('b');
      expect(copy?.attr).toMatchObject({ uid: 7, gid: 8, mode: 0o755, nlink: 3, parent: ROOT_INO });
      const copied = await bench.find('file', copy?.ino);
      expect(copied?.attr).toMatchObject({ nlink: 1, length: BigInt(2 ** 26 + 3000) });
      for (const index of [0, 1]) {
        expect(state.chunks.get(`${copied?.ino}_${index}`)).toEqual(
          state.chunks.get(`${file}_${index}`),
        );
      }
      expect(state.xattrs.get(`${copied?.ino} user.a`)).toBe('1');
      const sub = await bench.find('sub', copy?.ino);
      expect(state.symlinks.get((await bench.find('link', sub?.ino))?.ino ?? 0n)).toBe('file');
      expect((await bench.find('hard', sub?.ino))?.ino).not.toBe(copied?.ino);
    });

    it('is refused where nothing can be made, or what cannot be read', async () => {
      const bench = given();
      const { top, sub } = await tree(bench, 'c');
      expect(await refusal(bench, () => clone(bench, top, 'c'))).toBe('EEXIST');
      expect(await refusal(bench, () => clone(bench, sub, 'd', bench.as(user(7))))).toBe('EACCES');
      expect(await refusal(bench, () => clone(bench, top, '.trash'))).toBe('EPERM');
      expect(await refusal(bench, () => clone(bench, 4_000_000n as Ino, 'd'))).toBe('ENOENT');
    });

    it('leaves nothing when a quota has no room for all of it', async () => {
      const bench = given();
      const { top } = await tree(bench, 'e');
      const into = await bench.mkdir('limited');
      const limits = { maxBytes: -1n, maxInodes: 5n, usedBytes: 0n, usedInodes: 0n };
      await bench.volume.setDirQuota(into, limits);
      await bench.writer.refresh(bench.root.signal);
      const at = { parent: into, name: text('x') };
      const before = await bench.sound();
      const done = bench.writer.clone(top, at, PLAIN, bench.root);
      await expect(done).rejects.toMatchObject({ code: 'EDQUOT' });
      const after = await bench.sound();
      expect(after.nodes.size).toBe(before.nodes.size);
      expect(after.usedSpace).toBe(before.usedSpace);
      await bench.volume.setDirQuota(into, { ...limits, maxInodes: 6n });
      await bench.writer.clone(top, at, PLAIN, bench.root);
      const quota = (await bench.sound()).dirQuotas.get(into);
      expect(quota?.usedInodes).toBe(6n);
    });

    it('keeps owner, mode and times when told to', async () => {
      const bench = given();
      const { top } = await tree(bench, 'g');
      const at = { parent: ROOT_INO, name: text('h') };
      await bench.writer.clone(top, at, { preserve: true, umask: 0o077 }, bench.root);
      const [a, b] = [await bench.find('g'), await bench.find('h')];
      const kept = ({ mode, mtime, ctime, uid }: NonNullable<typeof a>['attr']) => ({
        ...{ mode, mtime, ctime, uid },
      });
      expect(b && kept(b.attr)).toEqual(a && kept(a.attr));
    });
  });
}
