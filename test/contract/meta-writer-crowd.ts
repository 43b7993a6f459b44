import { describe, expect, it, onTestFinished } from 'vitest';
import type { MetaWriter } from '../../src/meta/writer.ts';
import { FileType } from '../../src/posix/attr.ts';
import { FsError } from '../../src/posix/errno.ts';
import { type Ino, ROOT_INO } from '../../src/posix/ino.ts';
import { type MakeVolume, ROOT, text, WriterBench } from './writer-bench.ts';

const ENGINES = 3;
const WORKERS_EACH = 3;
const ROUNDS = 15;
/** What may happen when others are as fast. */
const RACES = new Set(['ENOENT', 'EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR', 'EPERM']);

/** Several engines that change one directory at the same time. */
export function crowdContract(make: MakeVolume): void {
  describe('a crowd', () => {
    it.each([0, 1])('loses nothing, and counts exactly; %i days of trash', async (days) => {
      const volume = await make({ TrashDays: days });
      const benches: WriterBench[] = [];
      for (let n = 0; n < ENGINES; n += 1) benches.push(await WriterBench.on(volume));
      onTestFinished(async () => {
        for (const bench of benches) await bench.stop();
        await volume.stop();
      });
      const first = benches[0] as WriterBench;
      const dir = await first.mkdir('shared');
      const log = await first.file('log', dir);
      const workers = benches.flatMap((bench, at) =>
        Array.from({ length: WORKERS_EACH }, (_, index) =>
          work(bench, { dir, log, name: `w${at}-${index}` }),
        ),
      );
      const kept = (await Promise.all(workers)).flat();
      const state = await first.sound();
      const names = new Set(
        state.edges.filter(({ parent }) => parent === dir).map(({ name }) => name),
      );
      expect(kept.filter((name) => !names.has(name))).toEqual([]);
      expect(state.chunks.get(`${log}_0`)).toHaveLength(ENGINES * WORKERS_EACH * ROUNDS);
    });
  });
}

/** @returns names that must be there in the end */
async function work(
  bench: WriterBench,
  { dir, log, name }: { dir: Ino; log: Ino; name: string },
): Promise<string[]> {
  const { writer } = bench;
  const kept: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const own = `${name}.${round}`;
    await bench.file(own, dir, 100 * round);
    await bench.write(log, 0, 10);
    await race(() => exclusive(writer, dir, `once.${round}`));
    await race(() => bench.mkdir(`d${round % 3}`, dir));
    await race(() => rename(writer, [dir, own], [dir, `over.${round % 2}`]));
    await race(() => writer.rmdir({ parent: dir, name: text(`d${(round + 1) % 3}`) }, bench.root));
    const found = await bench.find(`over.${round % 2}`, dir);
    const link = `${name}.link.${round}`;
    if (found !== undefined) {
      const isLinked = await race(() =>
        writer.link(found.ino, { parent: dir, name: text(link) }, bench.root),
      );
      if (isLinked) kept.push(link);
    }
    await race(() => rename(writer, [dir, `d${round % 3}`], [ROOT_INO, `d${(round + 1) % 3}`]));
    await race(() => rename(writer, [ROOT_INO, `d${(round + 1) % 3}`], [dir, `d${round % 3}`]));
  }
  return kept;
}

async function exclusive(writer: MetaWriter, parent: Ino, name: string): Promise<void> {
  const file = { mode: 0o644, umask: 0, exclusive: true };
  const call = { caller: ROOT, signal: new AbortController().signal };
  const { ino, attr } = await writer.create({ parent, name: text(name) }, file, call);
  expect(attr.type).toBe(FileType.file);
  await writer.closed(ino, call.signal);
}

function rename(
  writer: MetaWriter,
  [from, a]: readonly [Ino, string],
  [to, b]: readonly [Ino, string],
): Promise<unknown> {
  const call = { caller: ROOT, signal: new AbortController().signal };
  return writer.rename({ parent: from, name: text(a) }, { parent: to, name: text(b) }, {}, call);
}

/** @returns whether it was done: others may have been faster */
async function race(attempt: () => Promise<unknown>): Promise<boolean> {
  try {
    await attempt();
    return true;
  } catch (error) {
    if (error instanceof FsError && RACES.has(error.code)) return false;
    throw error;
  }
}
