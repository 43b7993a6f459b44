import type { BlockKey } from '../block/block-key.ts';
import { abortReason } from '../runtime/deadline.ts';
import { Semaphore } from '../runtime/semaphore.ts';
import { type Asked, type BlockHandler, type HeldRange, PeerError } from './block-exchange.ts';
import { MANY_BLOCKS_MAX, missReply } from './block-message.ts';
import type { WireRecord } from './checked-msgpack.ts';
import type { OutgoingFrame } from './frame-writer.ts';
import { dataFrame, type ReplySender } from './reply-sender.ts';

/** Blocks that are brought at once for one request. */
const BROUGHT_AT_ONCE = 8;
/** Bytes that go to the system in one call. */
const BATCH_BYTES = 1024 * 1024;

/** What serving many blocks needs. */
export interface ManyContext {
  readonly handler: BlockHandler;
  readonly sender: ReplySender;
  readonly asked: Asked;
  /** Of the request. */
  readonly number: number;
  /** Told about each block that was sent. */
  onServed(sizeBytes: number): void;
  /** The reply that tells the peer why a block does not come; counts and logs it. */
  onMissed(error: unknown): WireRecord;
}

/**
 * Answers a request for many blocks: what is in memory first, in few system calls; the others as
 * they come, some at a time.
 *
 * @throws what sending throws; the signal's reason
 */
export async function serveMany(
  keys: readonly BlockKey[],
  context: ManyContext,
  signal: AbortSignal,
): Promise<void> {
  const missing = await sendHeld(keys, context, signal);
  const places = new Semaphore(BROUGHT_AT_ONCE, MANY_BLOCKS_MAX);
  await Promise.all(
    missing.map((place) =>
      places.run(() => sendOne(keys[place] as BlockKey, place, context, signal), signal),
    ),
  );
  await context.sender.reply({ type: 'end' }, context.number);
}

/** @returns the numbers of the blocks that are not in memory */
async function sendHeld(
  keys: readonly BlockKey[],
  context: ManyContext,
  signal: AbortSignal,
): Promise<number[]> {
  const missing: number[] = [];
  let batch: { held: HeldRange; place: number }[] = [];
  let batchBytes = 0;
  const flush = async () => {
    const sent = batch;
    batch = [];
    batchBytes = 0;
    await sendBatch(sent, context);
    if (signal.aborted) throw abortReason(signal);
  };
  for (const [place, key] of keys.entries()) {
    const held = holdWhole(key, context);
    if (held === undefined) {
      missing.push(place);
      continue;
    }
    batch.push({ held, place });
    batchBytes += key.sizeBytes;
    if (batchBytes >= BATCH_BYTES) await flush();
  }
  if (batch.length > 0) await flush();
  return missing;
}

/** What speaks against it is found, and said, when the block is brought. */
function holdWhole(key: BlockKey, { handler, asked }: ManyContext): HeldRange | undefined {
  try {
    return handler.hold?.(key, { offset: 0, length: key.sizeBytes }, asked);
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

async function sendBatch(
  batch: readonly { held: HeldRange; place: number }[],
  context: ManyContext,
): Promise<void> {
  const frames = batch.map(({ held: { bytes, sums }, place }) =>
    dataFrame({ bytes, offset: 0, sums }, { place }),
  );
  try {
    await context.sender.frames(frames, context.number);
    for (const { held } of batch) context.onServed(held.bytes.byteLength);
  } finally {
    for (const { held } of batch) held.release();
  }
}

async function sendOne(
  key: BlockKey,
  place: number,
  context: ManyContext,
  signal: AbortSignal,
): Promise<void> {
  const { handler, sender, asked, number } = context;
  const range = { offset: 0, length: key.sizeBytes };
  const pieces: Uint8Array[] = [];
  let gathered = 0;
  let frame: OutgoingFrame;
  try {
    for await (const piece of handler.serve(key, range, signal, asked)) {
      if (signal.aborted) throw abortReason(signal);
      // A view is valid until the next one is asked for.
      pieces.push(piece.slice());
      gathered += piece.byteLength;
      if (gathered > key.sizeBytes) throw new Error('more bytes than asked for');
    }
    if (gathered !== key.sizeBytes)
      throw new Error(`${gathered} bytes instead of ${key.sizeBytes}`);
    const bytes = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
    frame = dataFrame({ bytes, offset: 0 }, { place });
  } catch (error) {
    if (signal.aborted) throw abortReason(signal);
    await sender.reply(missReply(place, context.onMissed(error)), number);
    return;
  }
  if (signal.aborted) throw abortReason(signal);
  await sender.frames([frame], number);
  context.onServed(key.sizeBytes);
}
