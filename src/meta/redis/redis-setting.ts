import { ROOT_INO, TRASH_INO } from '../../posix/ino.ts';
import { encodeAttr } from '../attr-codec.ts';
import { MetaError } from '../engine.ts';
import type { EngineContext } from '../engine-context.ts';
import type { Environment } from '../password.ts';
import type { SettingChange, SettingStore } from '../setting-store.ts';
import { firstDirectory, ROOT_MODE, TRASH_MODE } from '../volume-root.ts';
import { asBuffer } from './redis-directory.ts';
import { execute } from './redis-exec.ts';
import type { RedisKeys } from './redis-keys.ts';
import {
  type OpenRedis,
  openRedis,
  poolBeside,
  redisOptions,
  type RedisOpenOptions,
} from './redis-open.ts';
import { removeVolumeKeys } from './redis-removal.ts';
import type { QueuedCommand } from './redis-tx.ts';

/** The setting of a volume in Redis. */
export class RedisSetting implements SettingStore {
  readonly displayUrl: string;
  readonly #options: RedisOpenOptions;
  #opened: OpenRedis | undefined;

  /** @throws MetaError `bad-url`. @see RedisEngine */
  constructor(url: string, env: Environment, context: EngineContext) {
    this.#options = { ...redisOptions(url, env, context), mayBeEmpty: true };
    this.displayUrl = this.#options.url.display;
  }

  async load(signal: AbortSignal): Promise<Uint8Array | undefined> {
    const { link, keys } = await this.#open(signal);
    const name = { op: 'loadSetting', target: keys.setting };
    const bytes = await link.run(name, signal, (client) => client.getBuffer(keys.setting));
    return bytes === null || bytes.byteLength === 0 ? undefined : bytes;
  }

  async store(change: SettingChange, signal: AbortSignal): Promise<void> {
    const opened = await this.#open(signal);
    const seconds = Math.floor(this.#options.context.clock.wallMs() / 1000);
    await this.#exchange(opened, change.before, commandsOf(opened.keys, change, seconds), signal);
  }

  async remove(before: Uint8Array, signal: AbortSignal): Promise<void> {
    const opened = await this.#open(signal);
    const { keys, link } = opened;
    await this.#exchange(opened, before, [], signal);
    await removeVolumeKeys(link, keys, signal);
    await this.#exchange(opened, before, queued([['DEL', keys.setting]]), signal);
  }

  /** Does what is queued when the setting is what it was. */
  async #exchange(
    opened: OpenRedis,
    before: Uint8Array | undefined,
    commands: readonly QueuedCommand[],
    signal: AbortSignal,
  ): Promise<void> {
    const { keys } = opened;
    const pool = poolBeside(opened, this.#options);
    try {
      await pool.use(
        signal,
        () => false,
        async ({ client }) => {
          await client.watch(keys.setting);
          const found = (await client.getBuffer(keys.setting)) ?? Buffer.alloc(0);
          if (!found.equals(before ?? new Uint8Array())) {
            throw new MetaError('refused', 'the setting was changed by somebody else meanwhile');
          }
          if (commands.length > 0) await execute(client, commands);
        },
      );
    } finally {
      pool.close();
    }
  }

  async close(): Promise<void> {
    this.#opened?.link.close();
    this.#opened = undefined;
  }

  async #open(signal: AbortSignal): Promise<OpenRedis> {
    return (this.#opened ??= await openRedis(this.#options, signal));
  }
}

/** Times are whole seconds here, as original clients write them. */
function commandsOf(keys: RedisKeys, change: SettingChange, seconds: number): QueuedCommand[] {
  const directory = (mode: number) =>
    asBuffer(encodeAttr(firstDirectory(mode, { seconds, nanoseconds: 0 })));
  const commands: (string | Buffer)[][] = [];
  if (change.dropDirStats) {
    commands.push(['DEL', keys.dirUsedInodes, keys.dirUsedSpace, keys.dirDataLength]);
  }
  if (change.dropOwnerUsage) {
    const ofUsers = [keys.userQuota, keys.userQuotaUsedSpace, keys.userQuotaUsedInodes];
    const ofGroups = [keys.groupQuota, keys.groupQuotaUsedSpace, keys.groupQuotaUsedInodes];
    commands.push(['DEL', ...ofUsers, ...ofGroups]);
  }
  if (change.needsTrash) commands.push(['SETNX', keys.attr(TRASH_INO), directory(TRASH_MODE)]);
  commands.push(['SET', keys.setting, asBuffer(change.after)]);
  if (change.before === undefined)
    commands.push(['SET', keys.attr(ROOT_INO), directory(ROOT_MODE)]);
  return queued(commands);
}

function queued(commands: readonly (readonly (string | Buffer)[])[]): QueuedCommand[] {
  return commands.map((words) => ({ words, told: undefined }));
}
