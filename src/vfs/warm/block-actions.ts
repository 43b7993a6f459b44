import type { BlockKey } from '../../block/block-key.ts';
import type { BlockHolder, SharedCache } from '../../mesh/warm/group-cache.ts';
import type { CacheAction, CacheProgress } from './cache-progress.ts';
import { BlockQuestions } from './block-questions.ts';

/** Does one thing with every block that it is given. */
export interface BlockAction {
  /**
   * Takes a block; waits while enough is under way.
   *
   * @param onDone - called once; `error` when the block failed
   * @throws the signal's reason when aborted
   */
  add(key: BlockKey, onDone: (error: string | undefined) => void): Promise<void>;
  /** Resolves when every block is done. @throws the signal's reason when aborted */
  finish(): Promise<void>;
}

/** What a {@link BlockAction} works with. */
export interface BlockActionParts {
  readonly cache: SharedCache;
  /** Kept up to date, as far as blocks go. */
  readonly progress: CacheProgress;
  /** `warm`, `pin`: blocks that one node fetches at once. */
  readonly parallel: number;
  readonly signal: AbortSignal;
}

/** @returns what does `action` */
export function blockAction(action: CacheAction, parts: BlockActionParts): BlockAction {
  switch (action) {
    case 'warm':
      return warming(parts, false);
    case 'pin':
      return warming(parts, true);
    case 'check':
      return checking(parts);
    case 'evict':
      return evicting(parts);
  }
}

function warming(
  { cache, progress, parallel, signal }: BlockActionParts,
  here: boolean,
): BlockAction {
  const run = cache.warm({ parallel, signal, here });
  return {
    add: (key, onDone) =>
      run.add(key, (kept, error) => {
        progress.bytesDone += key.sizeBytes;
        progress.movedBlocks = run.moved;
        progress[`${kept}Blocks`] += 1;
        progress[`${kept}Bytes`] += key.sizeBytes;
        onDone(kept === 'failed' ? (error ?? 'its owner did not say why') : undefined);
      }),
    finish: () => run.finish(),
  };
}

function checking({ cache, progress, signal }: BlockActionParts): BlockAction {
  const questions = new BlockQuestions<readonly BlockHolder[]>(async (keys) => {
    const { value, silent } = await cache.holders(keys, signal);
    for (const node of silent) progress.silent.add(node);
    return value;
  });
  return {
    add: (key, onDone) =>
      questions.add(
        key,
        (holders) => {
          progress.bytesDone += key.sizeBytes;
          if (holders.length > 0) progress.cachedBytes += key.sizeBytes;
          for (const { node, tier } of holders) {
            const name = `${node} ${tier}`;
            progress.heldBy.set(name, (progress.heldBy.get(name) ?? 0) + key.sizeBytes);
          }
          onDone(undefined);
        },
        signal,
      ),
    finish: () => questions.finish(signal),
  };
}

function evicting({ cache, progress, signal }: BlockActionParts): BlockAction {
  const questions = new BlockQuestions<undefined>(async (keys) => {
    const { value, silent } = await cache.evict(keys, signal);
    for (const node of silent) progress.silent.add(node);
    progress.evictedBlocks += value.blocks;
    progress.evictedBytes += value.bytes;
    return keys.map(() => undefined);
  });
  return {
    add: (key, onDone) =>
      questions.add(
        key,
        () => {
          progress.bytesDone += key.sizeBytes;
          onDone(undefined);
        },
        signal,
      ),
    finish: () => questions.finish(signal),
  };
}
