import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ChangeListener } from '../../../src/meta/change-stream.ts';
import { type Ino, ROOT_INO, toIno } from '../../../src/posix/ino.ts';
import { memoryMetrics } from '../../../src/runtime/metrics.ts';
import { QUIET_MS, QUIET_NAMES_MS } from '../../../src/vfs/coherent/change-marks.ts';
import { Coherence } from '../../../src/vfs/coherent/coherence.ts';
import { type OpenFile } from '../../../src/vfs/open-file.ts';
import { OpenFiles } from '../../../src/vfs/open-files.ts';
import { RootMap } from '../../../src/vfs/root-map.ts';
import { ToldAttrs } from '../../../src/vfs/told-attrs.ts';
import { attrOf } from '../fake-meta.ts';
import { ManualClock } from '../manual-clock.ts';

const KEEP_MS = 60_000;
/** The machine's clock has another origin. */
const BOOT_MS = 86_400_000;
const INO = toIno(7n);
const OTHER = toIno(8n);
const NOW = { ageMs: 0 };

function setUp(sizeMax?: number) {
  const clock = new ManualClock();
  const root = new RootMap(ROOT_INO);
  const told = new ToldAttrs({ clock, timeoutMs: 1_000, max: 100 });
  const files = new OpenFiles({ limit: 10, clock, onEnd: () => undefined });
  const taken: string[] = [];
  const noted: (() => void)[] = [];
  const coherence = new Coherence({
    ...{ root, told, files, clock, metrics: memoryMetrics() },
    machineMs: () => clock.nowMs() + BOOT_MS,
    catchUp: () => noted.splice(0).forEach((note) => note()),
  });
  let listener: ChangeListener | undefined;
  const stream = {
    ...{ expiryMs: KEEP_MS, sizeMax },
    subscribe: (subscribed: ChangeListener) => {
      listener = subscribed;
      return () => undefined;
    },
  };
  coherence.follow(stream, {
    invalidateInode: (ino, offset) => void taken.push(`${ino} ${offset}`),
    invalidateEntry: (parent, name) => void taken.push(`${parent}/${Buffer.from(name).toString()}`),
  });
  const prove = () => listener?.proven(clock.nowMs());
  /** Moves on with proofs, as a living stream does. */
  const live = (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      clock.advance(Math.min(left, 250));
      prove();
    }
  };
  const change = (attrs: Ino[], names: Ino[] = []) => listener?.changed({ attrs, names });
  const lose = () => listener?.lost();
  return { clock, root, told, files, taken, noted, coherence, prove, live, change, lose };
}

let given: ReturnType<typeof setUp>;
const name = (text: string) => Buffer.from(text);
const holdsAttr = (ageMs = 0, ino = INO) => given.coherence.holdsAttr(ino, { ageMs });
const holdsName = (text: string) => given.coherence.holdsName(ROOT_INO, name(text), NOW);

beforeEach(() => {
  given = setUp();
});

describe('the kernel holds an answer', () => {
  test('that was asked for since the stream lives, and not before', () => {
    expect(holdsAttr()).toBe(false);
    given.prove();
    expect(holdsAttr()).toBe(false);
    given.live(500);
    expect(holdsAttr()).toBe(true);
    expect(holdsAttr(600)).toBe(false);
    expect(given.coherence.keepMs).toBe(KEEP_MS);
  });

  test('as long as the stream was proven within a second', () => {
    given.live(500);
    given.clock.advance(900);
    expect(holdsAttr()).toBe(true);
    given.clock.advance(300);
    expect(holdsAttr()).toBe(false);
    given.prove();
    expect(holdsAttr()).toBe(true);
  });

  test('unless a change of it was heard of since it was asked for, or a moment ago', () => {
    given.live(1_000);
    given.change([INO]);
    expect(holdsAttr(100)).toBe(false);
    given.live(QUIET_MS - 250);
    expect(holdsAttr()).toBe(false);
    given.live(500);
    expect(holdsAttr()).toBe(true);
    // What takes that long may have missed the mark of a change.
    given.live(QUIET_MS);
    expect(holdsAttr(QUIET_MS)).toBe(false);
  });

  test('of a name when its directory was quiet for longer', () => {
    given.live(1_000);
    expect(holdsName('a')).toBe(true);
    given.change([], [ROOT_INO]);
    given.live(QUIET_NAMES_MS - 250);
    expect(holdsName('a')).toBe(false);
    given.live(500);
    expect(holdsName('a')).toBe(true);
  });

  test('unless it knows the inode by another number', () => {
    given.live(500);
    given.root.setAlias(INO, toIno(99n));
    expect(holdsAttr()).toBe(false);
  });
});

describe('taken back is', () => {
  test('what changed, once', () => {
    given.live(500);
    expect([holdsAttr(), holdsAttr(0, OTHER), holdsName('a'), holdsName('b')]).not.toContain(false);
    given.live(2_000);
    given.change([INO]);
    expect(given.taken).toEqual(['7 -1']);
    given.change([INO], [ROOT_INO]);
    expect(given.taken).toEqual(['7 -1', '1/a', '1/b']);
    given.change([INO], [ROOT_INO]);
    given.live(5_000);
    expect(given.taken).toHaveLength(3);
  });

  test('once more what the kernel may have heard of after that', () => {
    given.live(500);
    expect(holdsAttr()).toBe(true);
    expect(holdsName('a')).toBe(true);
    given.live(500);
    given.change([INO], [ROOT_INO]);
    given.live(5_000);
    expect(given.taken).toEqual(['7 -1', '1/a', '7 -1', '1/a']);
  });

  test('what another thread has told meanwhile', () => {
    given.live(500);
    given.noted.push(() => given.coherence.heldAttr(INO));
    given.noted.push(() => given.coherence.heldName(ROOT_INO, name('a')));
    given.change([INO], [ROOT_INO]);
    expect(given.taken).toEqual(['7 -1', '1/a']);
  });

  test('everything when the stream is lost, in parts', () => {
    given.live(500);
    for (let ino = 1_000; ino < 4_000; ino += 1) given.coherence.heldAttr(toIno(BigInt(ino)));
    for (let file = 0; file < 2_500; file += 1) holdsName(`f${file}`);
    given.live(2_000);
    given.lose();
    expect(given.taken).toHaveLength(2_500);
    given.clock.advance(1);
    expect(new Set(given.taken).size).toBe(5_500);
    expect(holdsAttr()).toBe(false);
    given.prove();
    expect(holdsAttr(100)).toBe(false);
    given.live(250);
    expect(holdsAttr(100)).toBe(true);
  });

  test('nothing that the kernel has forgotten by itself', () => {
    given.live(500);
    holdsAttr();
    holdsName('a');
    given.live(KEEP_MS + 2_000);
    given.change([INO], [ROOT_INO]);
    expect(given.taken).toEqual([]);
  });
});

test('a directory holds a bounded number of names, and so does the mount', () => {
  given.live(500);
  let held = 0;
  for (let file = 0; file < 20_000; file += 1) held += holdsName(`f${file}`) ? 1 : 0;
  expect(held).toBe(10_000);
  for (let directory = 100n; directory < 200n; directory += 1n) {
    for (let file = 0; file < 1_000; file += 1) {
      const isHeld = given.coherence.holdsName(toIno(directory), name(`f${file}`), NOW);
      held += isHeld ? 1 : 0;
    }
  }
  expect(held).toBe(50_000);
  // There is room again when they have expired.
  given.live(KEEP_MS + 2_000);
  expect(given.coherence.holdsName(toIno(500n), name('new'), NOW)).toBe(true);
});

test('no more is held than the stream allows', () => {
  const { live, coherence } = setUp(3);
  live(500);
  const names = ['a', 'b', 'c', 'd'].map((text) => coherence.holdsName(ROOT_INO, name(text), NOW));
  const attrs = [11n, 12n, 13n, 14n].map((ino) => coherence.holdsAttr(toIno(ino), NOW));
  expect([names, attrs]).toEqual(Array(2).fill([true, true, true, false]));
});

test('a name that something was renamed to is looked up again', () => {
  given.coherence.renamed(ROOT_INO, name('new'));
  expect(given.taken).toEqual(['1/new']);
});

test('what is taken back is no more what an open has to make the kernel forget', () => {
  const [old, now] = [attrOf({ length: 1n }), attrOf({ length: 2n })];
  given.live(500);
  holdsAttr();
  given.told.note(INO, old, KEEP_MS);
  given.live(30_000);
  expect(given.told.mayDiffer(INO, now)).toBe(true);
  given.change([INO]);
  expect(given.told.mayDiffer(INO, now)).toBe(false);
  // What was told a moment before may still come to be believed, until it is taken back once more.
  given.live(QUIET_MS + 250);
  holdsAttr();
  given.told.note(INO, old, KEEP_MS);
  given.change([INO]);
  expect(given.told.mayDiffer(INO, now)).toBe(true);
  given.live(2_250);
  expect(given.told.mayDiffer(INO, now)).toBe(false);
});

test('an open file is asked about again when it has changed, or changes were missed', () => {
  const { files } = given;
  given.live(500);
  const file = files.open(INO, attrOf(), files.ticket());
  const early = files.ticket();
  given.change([INO, OTHER]);
  expect(file.isDoubted).toBe(true);
  // Believed, since it may be newer, but asked for again.
  expect(files.observe(INO, attrOf({ length: 5n }), early).length).toBe(5n);
  expect(file.isDoubted).toBe(true);
  files.observe(INO, attrOf(), files.ticket());
  expect(file.isDoubted).toBe(false);
  given.lose();
  expect(file.isDoubted).toBe(true);
  files.observe(INO, attrOf(), files.ticket());
  given.prove();
  expect(file.isDoubted).toBe(true);
  expect(files.open(OTHER, attrOf(), early).isDoubted).toBe(true);
  expect(files.open(toIno(9n), attrOf(), files.ticket()).isDoubted).toBe(false);
});

test('what is known is doubted before other threads may use it again', () => {
  const { clock, coherence, files } = given;
  given.live(500);
  files.open(INO, attrOf(), files.ticket());
  given.lose();
  files.observe(INO, attrOf(), files.ticket());
  const told: { isDoubted: boolean; isAlive: boolean }[] = [];
  const known = ({ isDoubted }: OpenFile) => {
    told.push({ isDoubted, isAlive: coherence.marks.isAlive(clock.nowMs() + BOOT_MS) });
  };
  files.watch({ known, unknown: () => undefined, asks: () => undefined });
  told.splice(0);
  given.prove();
  expect(told).toEqual([{ isDoubted: true, isAlive: false }]);
  expect(coherence.marks.isAlive(clock.nowMs() + BOOT_MS)).toBe(true);
});

/** What happens to one inode, in any order. */
type Event = 'change' | 'hear' | 'ask' | 'read' | 'answer' | 'lose' | 'prove' | 'wait' | 'rest';
const EVENTS: readonly Event[] = [
  ...(['change', 'hear', 'hear', 'ask', 'ask', 'read', 'read', 'answer', 'answer'] as const),
  ...(['lose', 'prove', 'prove', 'wait', 'rest'] as const),
];

/** A server, its words on their way, and a kernel that believes what it is told. */
function play(events: readonly Event[]): string {
  const world = setUp();
  let version = 0;
  let held: number | undefined;
  let isTracked = true;
  const heard: 'change'[] = [];
  const asked: { atMs: number; read: number | undefined }[] = [];
  const takeBack = () => {
    if (world.taken.splice(0).length > 0) held = undefined;
  };
  const hearAll = () => {
    for (; heard.length > 0; heard.pop()) world.change([INO]);
    takeBack();
  };
  const steps: Record<Event, () => void> = {
    change: () => {
      version += 1;
      if (isTracked) heard.push('change');
    },
    hear: () => {
      if (heard.pop() !== undefined) world.change([INO]);
    },
    ask: () => void asked.push({ atMs: world.clock.nowMs(), read: undefined }),
    read: () => {
      const next = asked.find(({ read }) => read === undefined);
      if (next !== undefined) next.read = version;
    },
    answer: () => {
      const at = asked.findIndex(({ read }) => read !== undefined);
      const [answer] = at === -1 ? [] : asked.splice(at, 1);
      if (answer === undefined) return;
      const ageMs = world.clock.nowMs() - answer.atMs;
      if (world.coherence.holdsAttr(INO, { ageMs })) held = answer.read;
    },
    lose: () => {
      isTracked = false;
      heard.length = 0;
      world.lose();
    },
    // A proof follows all that was told before it.
    prove: () => {
      isTracked = true;
      hearAll();
      world.prove();
    },
    wait: () => world.clock.advance(100),
    rest: () => world.live(QUIET_MS + 250),
  };
  for (const event of events) {
    if (event === 'rest') steps.prove();
    steps[event]();
    takeBack();
    const isWrong = heard.length === 0 && held !== undefined && held !== version;
    if (isWrong) return `version ${held} of ${version}`;
  }
  return 'right';
}

test('the kernel never holds what has changed when all is heard, whatever overtakes what', () => {
  const events = fc.array(fc.constantFrom(...EVENTS), { minLength: 5, maxLength: 60 });
  fc.assert(
    fc.property(events, (what) => {
      expect(play(what)).toBe('right');
    }),
    { numRuns: 2_000 },
  );
});
