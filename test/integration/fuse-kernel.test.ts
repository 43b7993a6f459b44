import { createHash, randomBytes } from 'node:crypto';
import { open, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FileType } from '../../src/posix/attr.ts';
import { loadLibc } from '../../src/runtime/system/libc.ts';
import { mountedAt } from '../../src/fuse/kernel/mount-table.ts';
import { MemoryVolume } from '../fuse/memory-volume.ts';
import type { TestMount } from './fuse-mount.ts';
import { cannotMount, mountVolume, python, shell } from './fuse-mount.ts';

const MODES = [
  { mode: 'with libc', libc: loadLibc() },
  { mode: 'without native code', libc: undefined },
];
const MANY = 100_000;

describe.skipIf(cannotMount)('a kernel mount', () => {
  describe.each(MODES)('$mode', ({ libc }) => {
    const volume = new MemoryVolume();
    const noise = randomBytes(3_000_001);
    let mount: TestMount;
    const at = (path: string) => join(mount.mountpoint, path);

    beforeAll(async () => {
      volume.add('noise', FileType.file, noise);
      volume.add('empty', FileType.file);
      volume.add('dir/inner/text', FileType.file, 'hello\n');
      volume.add('link', FileType.symlink, 'dir/inner/text');
      const tagged = volume.add('tagged', FileType.file, 'x');
      tagged.xattrs.set('user.color', Buffer.from('blue'));
      tagged.xattrs.set('user.large', Buffer.alloc(30_000, 7));
      const old = volume.add('old', FileType.file, 'y');
      const mtime = { seconds: -86_401, nanoseconds: 500_000_000 };
      old.attr = { ...old.attr, mtime, uid: 4_294_967_290, gid: 65_534, mode: 0o4750 };
      const device = volume.add('device', FileType.charDevice);
      // 4095:1048575 as Linux encodes it in 32 bits. @see new_encode_dev
      device.attr = { ...device.attr, rdev: 0xffff_ffff };
      const huge = volume.add('huge', FileType.file);
      volume.resize(huge, 2n ** 57n);
      mount = await mountVolume(volume, { libc });
    });

    afterAll(() => mount.close());

    it('shows its name and options in the mount table', async () => {
      const entry = mountedAt(mount.mountpoint);
      expect(entry).toMatchObject({ type: 'fuse.cachemesh', source: 'cachemesh:test' });
      const line = (await shell(['findmnt', '-no', 'OPTIONS', mount.mountpoint])).toString();
      for (const option of ['rw', 'nosuid', 'nodev', 'default_permissions', 'allow_other']) {
        expect(line.split(/[,\n]/)).toContain(option);
      }
      const readAhead = await readFile(`/sys/class/bdi/${entry?.device}/read_ahead_kb`, 'utf8');
      expect(readAhead).toBe('1024\n');
    });

    it('lists directories', async () => {
      expect((await readdir(mount.mountpoint)).toSorted()).toEqual(
        ['device', 'dir', 'empty', 'huge', 'link', 'noise', 'old', 'tagged'].toSorted(),
      );
      const entries = await readdir(at('dir'), { withFileTypes: true });
      expect(entries.map((entry) => [entry.name, entry.isDirectory()])).toEqual([['inner', true]]);
    });

    it('shows attributes like JuiceFS mounts do', async () => {
      const old = await stat(at('old'), { bigint: true });
      expect(old).toMatchObject({
        mtimeNs: -86_400_500_000_000n,
        uid: 4_294_967_290n,
        gid: 65_534n,
      });
      expect(old.mode & 0o7777n).toBe(0o4750n);
      const found = await stat(at('noise'));
      expect(found).toMatchObject({ size: 3_000_001, blocks: 5860, blksize: 65_536, nlink: 1 });
      const device = await python(
        'import os,sys; s=os.lstat(sys.argv[1]); print(os.major(s.st_rdev), os.minor(s.st_rdev), s.st_blocks)',
        at('device'),
      );
      expect(device).toBe('4095 1048575 0');
    });

    it('reads files, links and extended attributes', async () => {
      expect((await shell(['cat', at('noise')])).equals(noise)).toBe(true);
      expect(await readFile(at('empty'))).toHaveLength(0);
      expect(await readlink(at('link'))).toBe('dir/inner/text');
      expect(await readFile(at('link'), 'utf8')).toBe('hello\n');
      const program =
        'import os,sys; p=sys.argv[1]; print(os.getxattr(p,"user.color"), len(os.getxattr(p,"user.large")), os.listxattr(p))';
      expect(await python(program, at('tagged'))).toBe(
        "b'blue' 30000 ['user.color', 'user.large']",
      );
    });

    it('reads the same by mmap, O_DIRECT, sendfile and at any offset', async () => {
      const digest = (program: string) =>
        python(`import hashlib,mmap,os,sys\n${program}`, at('noise'));
      const expected = createHash('sha256').update(noise).digest('hex');
      const mapped = digest(
        'f=open(sys.argv[1],"rb"); m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ); print(hashlib.sha256(m).hexdigest())',
      );
      const sent = digest(
        'f=os.open(sys.argv[1],os.O_RDONLY); t=os.memfd_create("t"); n=0\nwhile True:\n c=os.sendfile(t,f,n,1<<20)\n n+=c\n if c==0: break\nprint(hashlib.sha256(os.pread(t,n,0)).hexdigest())',
      );
      const direct = shell(['dd', `if=${at('noise')}`, 'bs=1M', 'iflag=direct', 'status=none']);
      expect(await mapped).toBe(expected);
      expect(await sent).toBe(expected);
      expect((await direct).equals(noise)).toBe(true);
      const file = await open(at('noise'));
      for (const position of [0, 1, 4095, 131_071, 2_999_990]) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(70_000), 0, 70_000, position);
        expect(
          buffer.subarray(0, bytesRead).equals(noise.subarray(position, position + 70_000)),
        ).toBe(true);
      }
      await file.close();
    });

    it('refuses what would change something', async () => {
      for (const command of [
        ['touch', at('new')],
        ['rm', at('empty')],
        ['mkdir', at('d')],
      ]) {
        await expect(shell(command)).rejects.toThrow(/Read-only file system/);
      }
    });

    it('answers a wrong ioctl, seeks and statfs', async () => {
      const ioctl =
        'import fcntl,sys\ntry: fcntl.ioctl(open(sys.argv[1]),0x5401,b"0"*60)\nexcept OSError as e: print(e.errno)';
      expect(await python(ioctl, at('noise'))).toBe('25');
      const seek =
        'import os,sys; f=os.open(sys.argv[1],0); print(os.lseek(f,5,os.SEEK_DATA), os.lseek(f,5,os.SEEK_HOLE))';
      expect(await python(seek, at('noise'))).toBe('5 3000001');
      const program =
        'import os,sys; s=os.statvfs(sys.argv[1]); print(s.f_bsize,s.f_blocks,s.f_bfree,s.f_files,s.f_ffree,s.f_namemax)';
      expect(await python(program, mount.mountpoint)).toBe('4096 1000 400 50 20 255');
    });

    it('answers reads behind 2^53 with an error and lives on', async () => {
      const program =
        'import os,sys\nf=os.open(sys.argv[1],0)\ntry: print(os.pread(f,10,(1<<53)+4096))\nexcept OSError as e: print(e.errno)';
      expect(await python(program, at('huge'))).toBe('75');
      expect(await readFile(at('dir/inner/text'), 'utf8')).toBe('hello\n');
    });

    it('keeps an absent name until it is invalidated, and attributes too', async () => {
      await expect(stat(at('later'))).rejects.toThrow(/ENOENT/);
      volume.add('later', FileType.file, 'now');
      await expect(stat(at('later'))).rejects.toThrow(/ENOENT/);
      mount.driver.invalidateEntry(volume.root.ino, Buffer.from('later'));
      await expect
        .poll(() =>
          stat(at('later')).then(
            (found) => found.size,
            () => -1,
          ),
        )
        .toBe(3);
      const node = volume.root.children.get('later');
      if (node === undefined) throw new Error('was added');
      expect(await readFile(at('later'), 'utf8')).toBe('now');
      node.content = Buffer.from('changed');
      volume.resize(node, 7n);
      mount.driver.invalidateInode(node.ino, 0, 0);
      await expect.poll(() => readFile(at('later'), 'utf8')).toBe('changed');
    });

    it('has met no bug, and leaves nothing open when it is unmounted', async () => {
      await mount.close();
      expect(mount.metrics.value('bug_total')).toBe(0);
      expect(mount.metrics.value('fuse_malformed_total')).toBe(0);
      expect(volume.handles.size).toBe(0);
    });
  });

  it('lists a directory of 100,000 entries completely', async () => {
    const volume = new MemoryVolume();
    for (let index = 0; index < MANY; index++) volume.add(`d/${index}`, FileType.file);
    const mount = await mountVolume(volume);
    const names = (await shell(['ls', '-U', join(mount.mountpoint, 'd')], 60_000)).toString();
    const found = new Set(names.trim().split('\n'));
    expect(found.size).toBe(MANY);
    await mount.close();
    expect(mount.metrics.value('bug_total')).toBe(0);
  });
});
