import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InodeTable } from '../../../src/fuse/native/inode-table.ts';
import { NotUtf8Error } from '../../../src/fuse/native/native-errno.ts';
import { PathResolver } from '../../../src/fuse/native/path-resolver.ts';
import type { EntryReply, FuseContext, NegativeReply } from '../../../src/fuse/operations.ts';
import { type Attr, FileType } from '../../../src/posix/attr.ts';
import { type Ino, ROOT_INO, toIno } from '../../../src/posix/ino.ts';
import type { Clock } from '../../../src/runtime/clock.ts';

const CONTEXT: FuseContext = { uid: 0, gid: 0, pid: 0, signal: new AbortController().signal };
const TIME = { seconds: 0, nanoseconds: 0 };

function attr(length: bigint): Attr {
  return {
    ...{ type: FileType.directory, mode: 0o755, uid: 0, gid: 0, nlink: 1, rdev: 0, length },
    ...{ atime: TIME, mtime: TIME, ctime: TIME, parent: ROOT_INO, flags: 0, tier: 0 },
    ...{ accessAclId: 0, defaultAclId: 0 },
  };
}

/** Every name exists everywhere: its inode is that of the parent times ten plus the name's number. */
class World {
  nowMs = 0;
  readonly references = new Map<Ino, bigint>();
  lookups = 0;
  /** Answers to lookup wait for it. */
  gate: Promise<void> = Promise.resolve();
  readonly clock: Clock = {
    nowMs: () => this.nowMs,
    wallMs: () => this.nowMs,
    setTimer: () => ({ cancel: () => undefined }),
  };
  readonly inodes = new InodeTable(this, this.clock);
  readonly paths: PathResolver;

  constructor(namesMax: number) {
    this.paths = new PathResolver({
      ...{ operations: this, inodes: this.inodes, clock: this.clock, namesMax },
    });
  }

  async lookup(_context: FuseContext, parent: Ino, name: Uint8Array) {
    this.lookups += 1;
    await this.gate;
    const text = Buffer.from(name).toString();
    const absent: NegativeReply = { ino: undefined, entryTimeoutMs: 1000 };
    if (text === 'none') return absent;
    const ino = toIno(parent * 10n + BigInt(text));
    this.references.set(ino, (this.references.get(ino) ?? 0n) + 1n);
    const found: EntryReply = { ino, attr: attr(7n), entryTimeoutMs: 1000, attrTimeoutMs: 1000 };
    return found;
  }

  forget(ino: Ino, count: bigint): void {
    const left = (this.references.get(ino) ?? 0n) - count;
    if (left < 0n) throw new Error(`inode ${ino} was forgotten too often`);
    // Not 0: the answer to another lookup is still under way.
    if (left > 0n) this.references.set(ino, left);
    else this.references.delete(ino);
  }

  resolve(path: string): Promise<Ino> {
    return this.paths.withInode(CONTEXT, path, async (ino) => ino);
  }
}

describe('paths', () => {
  test('are walked name by name, and names are remembered until their time-out', async () => {
    const world = new World(10);
    expect(await world.resolve('/')).toBe(ROOT_INO);
    expect(await world.resolve('/2/3')).toBe(123n);
    expect(await world.resolve('/2/4')).toBe(124n);
    expect(world.lookups).toBe(3);
    world.nowMs = 1000;
    await world.resolve('/2/3');
    expect(world.lookups).toBe(5);
  });

  test('that do not exist are remembered too', async () => {
    const world = new World(10);
    await expect(world.resolve('/none')).rejects.toThrow('none');
    await expect(world.resolve('/none/1')).rejects.toThrow('none');
    expect(world.lookups).toBe(1);
  });

  test('with replacement characters are refused before any lookup', async () => {
    const world = new World(10);
    await expect(world.resolve('/1/a\u{fffd}')).rejects.toThrow(NotUtf8Error);
    expect(world.lookups).toBe(0);
  });

  test('are not remembered when something was invalidated during the lookup', async () => {
    const world = new World(10);
    let open: () => void = () => undefined;
    world.gate = new Promise((resolve) => (open = resolve));
    const resolving = world.resolve('/1');
    world.paths.invalidate(ROOT_INO, '1');
    world.inodes.invalidate(toIno(11n));
    open();
    expect(await resolving).toBe(11n);
    expect([...world.references.keys()]).toEqual([]);
    await world.resolve('/1');
    expect(world.lookups).toBe(2);
  });

  test('keep inodes in use, and forget exactly what was looked up', async () => {
    const name = fc.constantFrom('1', '2', '3', 'none');
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.array(name, { maxLength: 3 }).map((names) => names.join('/')) },
      { weight: 1, arbitrary: fc.record({ drop: name }) },
      { weight: 1, arbitrary: fc.record({ waitMs: fc.integer({ min: 0, max: 1500 }) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step), async (max, steps) => {
        const world = new World(max);
        const running: Promise<unknown>[] = [];
        const unused: Ino[] = [];
        const failures: string[] = [];
        for (const item of steps) {
          if (typeof item === 'string') {
            const work = async (ino: Ino) => {
              await Promise.resolve();
              if (ino !== ROOT_INO && !world.references.has(ino)) unused.push(ino);
            };
            // Some overlap and some follow each other.
            const walk = world.paths.withInode(CONTEXT, `/${item}`, work);
            running.push(walk.catch((error: Error) => failures.push(error.message)));
            if (item.length % 2 === 0) await running.at(-1);
          } else if ('drop' in item) world.paths.invalidate(ROOT_INO, item.drop);
          else world.nowMs += item.waitMs;
        }
        await Promise.all(running);
        expect(unused).toEqual([]);
        expect(failures.filter((message) => message !== 'none')).toEqual([]);
        expect(world.references.size).toBeLessThanOrEqual(max);
        world.paths.clear();
        expect([...world.references.keys()]).toEqual([]);
        expect(world.inodes.size).toBe(1);
      }),
    );
  });
});

describe('attributes', () => {
  test('are believed until their time-out or an invalidation', async () => {
    const world = new World(10);
    const ino = await world.resolve('/1');
    expect(world.inodes.attr(ino)?.length).toBe(7n);
    world.inodes.invalidate(ino);
    expect(world.inodes.attr(ino)).toBeUndefined();
    const { version } = world.inodes;
    world.inodes.keepAttr(ino, { attr: attr(8n), attrTimeoutMs: 5 }, version);
    expect(world.inodes.attr(ino)?.length).toBe(8n);
    world.nowMs = 5;
    expect(world.inodes.attr(ino)).toBeUndefined();
    world.inodes.invalidate(ino);
    world.inodes.keepAttr(ino, { attr: attr(9n), attrTimeoutMs: 5 }, version);
    expect(world.inodes.attr(ino)).toBeUndefined();
  });
});
