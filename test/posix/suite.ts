import { mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeTempDir } from '../servers/temp.ts';
import { Agents } from './agents.ts';
import { type Difference, runCase, type Table } from './script.ts';

/** A case with the table that it is of: `TABLE: CASE`. */
export interface Case {
  readonly at: string;
  readonly script: string;
}

/** A folder in which cases are run. */
export interface Place {
  readonly folder: string;
  stop(): Promise<void>;
}

/** @see statfs(2) */
const EXT4_MAGIC = 0xef53;

/** All cases of tables by their operations. */
export function casesOf(tables: Readonly<Record<string, Table>>): readonly Case[] {
  return Object.entries(tables).flatMap(([operation, table]) =>
    Object.entries(table).map(([title, script]) => ({ at: `${operation}: ${title}`, script })),
  );
}

/** Whether temporary files are on ext4: the folder may be on something else, with rules of its own. */
export async function isExt4(): Promise<boolean> {
  return (await statfs(await makeTempDir('disk'))).type === EXT4_MAGIC;
}

/** A folder of the local file system. */
export async function onDisk(): Promise<Place> {
  return { folder: await makeTempDir('ext4'), stop: () => Promise.resolve() };
}

/** How cases are run, if not as everywhere. */
export interface CaseOptions {
  /** Of all cases; none if not given. */
  readonly differences?: readonly Difference[];
  /** What every case begins in; a new folder for everybody if not given. */
  readonly folder?: () => string;
}

/** A test for each case, each in a folder of its own. */
export function runCases(
  cases: readonly Case[],
  place: () => Promise<Pick<Place, 'folder'>>,
  { differences = [], folder }: CaseOptions = {},
): void {
  let agents: Agents | undefined;
  let above = '';

  beforeAll(async () => {
    above = (await place()).folder;
    agents = Agents.start(above);
  });

  afterAll(() => agents?.stop());

  test.each(cases)('$at', async ({ at, script }) => {
    const them = agents as Agents;
    const own = join(above, String(cases.findIndex((each) => each.at === at)));
    await them.begin(folder?.() ?? (await newFolder(own, them)));
    const mine = differences.filter((difference) => difference.at === at);
    const { found, wanted } = await runCase(them, script, mine);
    expect(found).toEqual(wanted);
  });
}

async function newFolder(path: string, agents: Agents): Promise<string> {
  await mkdir(path);
  expect(await agents.run('root', ['chmod', path, '777'])).toBe('ok');
  return path;
}
