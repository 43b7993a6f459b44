import { beforeEach, describe, expect, it } from 'vitest';
import { FileType } from '../../../src/posix/attr.ts';
import { Errno, FsError } from '../../../src/posix/errno.ts';
import type { FuseMutations } from '../../../src/fuse/mutations.ts';
import type { FuseContext } from '../../../src/fuse/operations.ts';
import type { MemoryNode } from '../memory-volume.ts';
import { MemoryVolume } from '../memory-volume.ts';
import { recordedFrame } from '../wire/recorded-frames.ts';
import { body, SessionBench, settle } from './session-bench.ts';

const readBody = (fh: bigint, offset: bigint, size: number) => body(fh, offset, size, 0, 0n, 0, 0);
const releaseBody = (fh: bigint) => body(fh, 0, 0, 0n);

let volume: MemoryVolume;
let bench: SessionBench;
let file: MemoryNode;

beforeEach(() => {
  volume = new MemoryVolume();
  file = volume.add('file.txt', FileType.file, 'hello, kernel\n');
  file.xattrs.set('user.color', Buffer.from('blue'));
  bench = new SessionBench(volume);
});

async function openFile(flags = 0): Promise<bigint> {
  const { errno, payload } = await bench.ask('open', file.ino, body(flags, 0));
  expect(errno).toBe(0);
  return payload.readBigUInt64LE(0);
}

/** An operation that ends only when the test says so. */
function hang(node: MemoryNode) {
  const gate = Promise.withResolvers<void>();
  const seen: { context: FuseContext | undefined } = { context: undefined };
  node.onRead = (context) => {
    seen.context = context;
    return gate.promise;
  };
  return { gate, seen };
}

describe('a session', () => {
  it('answers the handshake that a real kernel made', () => {
    bench.session.handle(recordedFrame('init').request);
    const reply = bench.replies.get(2n);
    expect(reply?.errno).toBe(0);
    expect(reply?.payload).toHaveLength(64);
    expect(bench.session.init?.minor).toBe(45);
  });

  it('refuses a kernel that is too old', async () => {
    const reply = await bench.ask('init', 0n, body(7, 20, 0, 0));
    expect(reply.errno).toBe(Errno.EPROTO);
    expect(bench.session.init).toBeUndefined();
  });

  it('reads and releases a file', async () => {
    const fh = await openFile();
    const { payload } = await bench.ask('read', file.ino, readBody(fh, 7n, 6));
    expect(payload.toString()).toBe('kernel');
    expect((await bench.ask('release', file.ino, releaseBody(fh))).errno).toBe(0);
    expect(volume.handles.size).toBe(0);
  });

  it('hears of handles that a worker has closed, and answers nothing', async () => {
    const fh = await openFile();
    const frame = Buffer.alloc(64);
    frame.writeUInt32LE(64, 0);
    frame.writeUInt32LE(18, 4);
    frame.set(releaseBody(fh), 40);
    const before = bench.replies.size;
    bench.session.handle(frame);
    expect(volume.handles.size).toBe(0);
    expect(bench.replies.size).toBe(before);
  });

  it('opens nothing for writing', async () => {
    for (const flags of [1, 2, 3, 0o1000]) {
      expect((await bench.ask('open', file.ino, body(flags, 0))).errno).toBe(Errno.EROFS);
    }
    expect(volume.handles.size).toBe(0);
  });

  it('writes to what may be written to, and to nothing else', async () => {
    file.written = [];
    const opened = await bench.ask('open', file.ino, body(2, 0));
    const fh = opened.payload.readBigUInt64LE(0);
    const data = Buffer.from('hello');
    const write = (at: bigint, handle: bigint) =>
      Buffer.concat([body(handle, at, data.byteLength, 0, 0n, 0, 0), data]);
    const wrote = await bench.ask('write', file.ino, write(7n, fh));
    expect(wrote.payload.readUInt32LE(0)).toBe(5);
    expect(file.written).toEqual([{ offset: 7, text: 'hello' }]);
    expect((await bench.ask('write', file.ino, write(7n, 999n))).errno).toBe(Errno.EBADF);
    expect((await bench.ask('write', file.ino, write(1n << 60n, fh))).errno).toBe(Errno.EFBIG);
    // Fewer bytes than the request says.
    const short = write(7n, fh).subarray(0, -1);
    expect((await bench.ask('write', file.ino, short)).errno).toBe(Errno.EIO);
    await bench.ask('release', file.ino, releaseBody(fh));
  });

  it('answers requests that it does not serve', async () => {
    expect((await bench.ask('unlink', 1n, body('x'))).errno).toBe(Errno.EROFS);
    expect((await bench.ask('flush', file.ino, body(1n, 0, 0, 1n))).errno).toBe(Errno.ENOSYS);
    expect((await bench.ask('ioctl', file.ino)).errno).toBe(Errno.ENOTTY);
    expect((await bench.ask('fsync', file.ino, body(1n, 0, 0))).errno).toBe(0);
    expect((await bench.ask('destroy', 0n)).errno).toBe(0);
  });

  it('says how large an attribute is, and when it does not fit', async () => {
    const ask = (size: number) => bench.ask('getxattr', file.ino, body(size, 0, 'user.color'));
    expect((await ask(0)).payload.readUInt32LE(0)).toBe(4);
    expect((await ask(3)).errno).toBe(Errno.ERANGE);
    expect((await ask(4)).payload.toString()).toBe('blue');
    const names = await bench.ask('listxattr', file.ino, body(100, 0));
    expect(names.payload.toString()).toBe('user.color\0');
  });

  it('answers offsets beyond 2^53: no file is so long', async () => {
    const fh = await openFile();
    const { errno } = await bench.ask('read', file.ino, readBody(fh, 2n ** 53n, 1));
    expect(errno).toBe(Errno.EOVERFLOW);
    const seek = await bench.ask('lseek', file.ino, body(fh, 2n ** 63n, 3, 0));
    expect(seek.errno).toBe(Errno.ENXIO);
    expect((await bench.ask('lseek', file.ino, body(fh, 0n, 0, 0))).errno).toBe(Errno.EINVAL);
  });

  it('reads no more than the kernel can ever ask for', async () => {
    const fh = await openFile();
    const { errno } = await bench.ask('read', file.ino, readBody(fh, 0n, 0xffff_ffff));
    expect(errno).toBe(Errno.EINVAL);
  });

  it('forgets', async () => {
    await bench.ask('lookup', 1n, body('file.txt'));
    await bench.ask('lookup', 1n, body('file.txt'));
    expect(volume.lookups.get(file.ino)).toBe(2n);
    bench.send('forget', file.ino, body(1n));
    bench.send('batchForget', 0n, body(1, 0, file.ino, 1n));
    expect(volume.lookups.get(file.ino)).toBe(0n);
    expect(bench.metrics.value('bug_total')).toBe(0);
  });

  it('answers an unexpected failure with EIO and counts it', async () => {
    file.onRead = () => Promise.reject(new TypeError('oops'));
    const fh = await openFile();
    expect((await bench.ask('read', file.ino, readBody(fh, 0n, 1))).errno).toBe(Errno.EIO);
    expect(bench.metrics.value('bug_total')).toBe(1);
    file.onRead = () => Promise.reject(new FsError('EIO'));
    expect((await bench.ask('read', file.ino, readBody(fh, 0n, 1))).errno).toBe(Errno.EIO);
    expect(bench.metrics.value('bug_total')).toBe(1);
  });

  it('answers malformed frames', async () => {
    expect((await bench.ask('read', file.ino, body(1n))).errno).toBe(Errno.EIO);
    bench.session.handle(new Uint8Array(3));
    expect(bench.metrics.value('fuse_malformed_total')).toBe(2);
  });

  it('undoes what the kernel did not hear of', async () => {
    bench.refusal = Errno.ENOENT;
    bench.send('lookup', 1n, body('file.txt'));
    bench.send('open', file.ino, body(0, 0));
    bench.send('opendir', 1n, body(0, 0));
    bench.send('readdirplus', 1n, readBody(1n, 0n, 4096));
    await settle();
    expect(volume.lookups.get(file.ino)).toBe(0n);
    expect(volume.handles.size).toBe(0);
  });

  it('does not leave a reader waiting whose answer the kernel finds wrong', async () => {
    const fh = await openFile();
    bench.refusal = Errno.EINVAL;
    const sent: number[] = [];
    bench.onSend = (errno) => sent.push(errno);
    bench.send('read', file.ino, readBody(fh, 0n, 1));
    await settle();
    expect(sent).toEqual([0, Errno.EIO]);
  });
});

describe('an interrupt', () => {
  it('aborts the operation, whose failure then means EINTR', async () => {
    const { gate, seen } = hang(file);
    const fh = await openFile();
    const unique = bench.send('read', file.ino, readBody(fh, 0n, 1));
    expect(seen.context?.signal.aborted).toBe(false);
    bench.send('interrupt', 0n, body(unique));
    expect(seen.context?.signal.aborted).toBe(true);
    gate.reject(seen.context?.signal.reason);
    await settle();
    expect(bench.replies.get(unique)?.errno).toBe(Errno.EINTR);
    expect(bench.metrics.value('bug_total')).toBe(0);
  });

  it('is answered in bounded time by an operation that ignores it', async () => {
    const { gate } = hang(file);
    const fh = await openFile();
    const unique = bench.send('read', file.ino, readBody(fh, 0n, 1));
    bench.send('interrupt', 0n, body(unique));
    await settle();
    expect(bench.replies.has(unique)).toBe(false);
    bench.fireTimers();
    expect(bench.replies.get(unique)?.errno).toBe(Errno.EINTR);
    expect(bench.session.inFlight).toBe(0);
    gate.resolve();
    await settle();
    expect(bench.replies.get(unique)?.errno).toBe(Errno.EINTR);
    expect(bench.metrics.value('fuse_abandoned_total')).toBe(1);
  });

  it('lets an operation succeed that is done anyway', async () => {
    const { gate } = hang(file);
    const fh = await openFile();
    const unique = bench.send('read', file.ino, readBody(fh, 0n, 5));
    bench.send('interrupt', 0n, body(unique));
    gate.resolve();
    await settle();
    expect(bench.replies.get(unique)?.payload.toString()).toBe('hello');
    bench.fireTimers();
    expect(bench.metrics.value('fuse_abandoned_total')).toBe(0);
  });

  it('is asked for again when its request has not come yet', () => {
    const interrupt = bench.send('interrupt', 0n, body(1234n));
    expect(bench.replies.size).toBe(0);
    bench.fireTimers();
    expect(bench.replies.get(interrupt)?.errno).toBe(Errno.EAGAIN);
  });

  describe('of a change', () => {
    /** Makes directories when the test says so. */
    function slowMkdir() {
      const gate = Promise.withResolvers<void>();
      const seen: { context: FuseContext | undefined } = { context: undefined };
      const mkdir: FuseMutations['mkdir'] = async (context) => {
        seen.context = context;
        await gate.promise;
        return { ino: file.ino, attr: file.attr, entryTimeoutMs: 0, attrTimeoutMs: 0 };
      };
      const mutations = { mkdir } as Partial<FuseMutations> as FuseMutations;
      bench = new SessionBench(Object.assign(volume, { mutations }));
      const unique = bench.send('mkdir', 1n, body(0o755, 0, 'made'));
      bench.send('interrupt', 0n, body(unique));
      return { gate, seen, unique };
    }

    it('means nothing to one that is quick', async () => {
      const { gate, seen, unique } = slowMkdir();
      expect(seen.context?.signal.aborted).toBe(false);
      gate.resolve();
      await settle();
      expect(bench.replies.get(unique)?.errno).toBe(0);
    });

    it('ends one that takes long, but is not answered before the outcome is known', async () => {
      const { gate, seen, unique } = slowMkdir();
      bench.fireTimers();
      expect(seen.context?.signal.aborted).toBe(true);
      bench.fireTimers();
      expect(bench.replies.has(unique)).toBe(false);
      gate.resolve();
      await settle();
      expect(bench.replies.get(unique)?.errno).toBe(0);
    });

    it('keeps no mount from ending', () => {
      const { unique } = slowMkdir();
      bench.fireTimers();
      bench.session.end();
      bench.fireTimers();
      expect(bench.replies.get(unique)?.errno).toBe(Errno.EIO);
    });
  });

  it('comes to everything when the mount ends', async () => {
    const { gate } = hang(file);
    const fh = await openFile();
    const before = bench.send('read', file.ino, readBody(fh, 0n, 1));
    bench.session.end();
    const after = bench.send('read', file.ino, readBody(fh, 0n, 1));
    bench.fireTimers();
    for (const unique of [before, after]) {
      expect(bench.replies.get(unique)?.errno).toBe(Errno.EIO);
    }
    gate.resolve();
  });
});
