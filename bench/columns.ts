import { makeTempDir } from '../test/servers/temp.ts';
import { type Mounted, mountOn } from './mounts.ts';
import type { Stage } from './stage.ts';
import { type Volume, warmAndCheck } from './volume.ts';

/** What a column needs to mount. */
export interface ColumnContext {
  readonly volume: Volume;
  /** The command that is benched. */
  readonly cachemesh: readonly [string, ...string[]];
  /** Takes the mount down. */
  readonly stage: Stage;
  readonly signal: AbortSignal;
}

/** One client in one configuration. */
export interface Column {
  readonly id: string;
  readonly title: string;
  readonly client: 'cachemesh' | 'juicefs';
  /** The column that ratios compare with; its own id when it is one. */
  readonly reference: string;
  /** Warm columns are mounted and warmed once; cold ones are mounted anew for each round. */
  readonly caches: 'warm' | 'cold';
  mount(context: ColumnContext): Promise<Mounted>;
  /** Cold columns: what stays up during all rounds. */
  prepare?(context: ColumnContext): Promise<void>;
}

/** Room for the whole volume, and a bound for the machine's memory. */
const MEMORY_MIB = 2048;
const DISK_MIB = 8192;
const GROUP = 'bench';

const cachemesh =
  (args: (cacheDir: string) => readonly string[]) =>
  async ({ volume, cachemesh: command, stage, signal }: ColumnContext): Promise<Mounted> =>
    mountOn(stage, {
      ...{ name: 'mesh', volume, signal, command: [...command, 'mount'] },
      args: [
        ...['--metrics', 'none', '--log-level', 'warn'],
        ...args(await makeTempDir('mesh-cache')),
      ],
    });

const juicefs =
  (args: (cacheDir: string) => readonly string[]) =>
  async ({ volume, stage, signal }: ColumnContext): Promise<Mounted> =>
    mountOn(stage, {
      ...{ name: 'jfs', volume, signal, command: ['juicefs', 'mount', '--no-usage-report'] },
      args: ['--no-bgjob', ...args(await makeTempDir('jfs-cache'))],
    });

const inMemory = (): string[] => ['--cache-dir', 'memory', '--cache-size', String(MEMORY_MIB)];
const onDisk = (dir: string): string[] => ['--cache-dir', dir, '--cache-size', String(DISK_MIB)];
const diskOnly = (dir: string): string[] => [...onDisk(dir), '--memory-cache-size', '0'];
const inGroup = (): string[] => ['--cache-group', GROUP, '--listen', '127.0.0.1:0'];

/** All columns. */
export const COLUMNS: readonly Column[] = [
  {
    ...{ id: 'mesh-memory', title: 'cachemesh, memory', client: 'cachemesh', caches: 'warm' },
    ...{ reference: 'jfs-memory', mount: cachemesh(inMemory) },
  },
  {
    ...{ id: 'mesh-native', title: 'cachemesh, fuse-native', client: 'cachemesh', caches: 'warm' },
    reference: 'jfs-memory',
    mount: cachemesh(() => [...inMemory(), '--fuse-driver', 'fuse-native']),
  },
  {
    ...{ id: 'jfs-memory', title: 'juicefs, memory', client: 'juicefs', caches: 'warm' },
    ...{ reference: 'jfs-memory', mount: juicefs(inMemory) },
  },
  {
    ...{ id: 'mesh-ssd', title: 'cachemesh, SSD', client: 'cachemesh', caches: 'warm' },
    ...{ reference: 'jfs-ssd', mount: cachemesh(diskOnly) },
  },
  {
    ...{ id: 'jfs-ssd', title: 'juicefs, SSD', client: 'juicefs', caches: 'warm' },
    ...{ reference: 'jfs-ssd', mount: juicefs(onDisk) },
  },
  {
    ...{ id: 'mesh-peer', title: 'cachemesh, from a peer', client: 'cachemesh', caches: 'cold' },
    reference: 'jfs-origin',
    // The second node keeps nothing for the group, so each block belongs to the warm node.
    mount: cachemesh(() => [...inMemory(), ...inGroup(), '--no-sharing']),
    prepare: async (context) => {
      const warm = await cachemesh(() => [...inMemory(), ...inGroup()])(context);
      await warmAndCheck(warm.path, context.volume, context.signal);
    },
  },
  {
    ...{ id: 'mesh-origin', title: 'cachemesh, from origin', client: 'cachemesh', caches: 'cold' },
    ...{ reference: 'jfs-origin', mount: cachemesh(inMemory) },
  },
  {
    ...{ id: 'jfs-origin', title: 'juicefs, from origin', client: 'juicefs', caches: 'cold' },
    ...{ reference: 'jfs-origin', mount: juicefs(inMemory) },
  },
];
