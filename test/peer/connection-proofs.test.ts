import type { Connection, Stream } from '@libp2p/interface';
import { expect, test } from 'vitest';
import { toNodeId } from '../../src/block/node-id.ts';
import { ConnectionProofs } from '../../src/peer/connection-proofs.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { feed } from '../../src/peer/receive-message.ts';
import { systemRandom } from '../../src/runtime/random.ts';
import { manualClock } from '../store/manual-clock.ts';

const key = deriveGroupKey(Buffer.from('secret'), 'volume');
const GIVES_UP = new Error('it has no more patience');

/** One end of a stream of libp2p, as far as proofs see it. */
class StreamEnd extends EventTarget {
  remoteWriteStatus = 'writable';
  other: StreamEnd | undefined;
  /** Whether what the other side sends arrives. */
  isOpen = true;
  held: Uint8Array[] = [];

  send(bytes: Uint8Array): void {
    const { other } = this;
    if (other?.isOpen === true) other.arrive(bytes);
    else other?.held.push(bytes);
  }

  arrive(bytes: Uint8Array): void {
    const event = Object.assign(new Event('message'), { data: { subarray: () => bytes } });
    setImmediate(() => this.dispatchEvent(event));
  }

  /** Lets all arrive that was held back. */
  open(): void {
    this.isOpen = true;
    for (const bytes of this.held.splice(0)) this.arrive(bytes);
  }

  abort(): void {
    this.remoteWriteStatus = 'closed';
    this.dispatchEvent(new Event('close'));
  }

  get stream(): Stream {
    return this as unknown as Stream;
  }
}

function streamPair(): [StreamEnd, StreamEnd] {
  const [one, other] = [new StreamEnd(), new StreamEnd()];
  one.other = other;
  other.other = one;
  return [one, other];
}

/** Two members with a connection, at either end of it. */
function makeMembers() {
  const clock = manualClock();
  const proofsOf = (name: string) => {
    const options = { key, self: toNodeId(name), versions: { min: 2, max: 3 }, context: 'test' };
    const all = { ...options, channel: new Uint8Array(0), random: systemRandom };
    return new ConnectionProofs(() => all, clock);
  };
  const connectionTo = (name: string) => ({ remotePeer: name }) as unknown as Connection;
  return {
    clock,
    asker: proofsOf('asker'),
    answerer: proofsOf('answerer'),
    toAnswerer: connectionTo('answerer'),
    toAsker: connectionTo('asker'),
  };
}

/** Begins a proof; the answers reach the asker when the test lets them. */
function beginSlowly(members: ReturnType<typeof makeMembers>) {
  const streams: StreamEnd[] = [];
  const open = async () => {
    const [near, far] = streamPair();
    near.isOpen = false;
    streams.push(near);
    const signal = new AbortController().signal;
    members.answerer.accept(far.stream, members.toAsker, signal).catch(() => undefined);
    return near.stream;
  };
  const ensure = (signal = new AbortController().signal) =>
    members.asker.ensure(members.toAnswerer, signal, open);
  return { streams, ensure };
}

function turns(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 5));
}

test('who has more patience gets the proof that another one began and gave up', async () => {
  const members = makeMembers();
  const { streams, ensure } = beginSlowly(members);
  const hasty = new AbortController();
  const first = ensure(hasty.signal);
  const second = ensure();
  await turns();
  hasty.abort(GIVES_UP);
  await expect(first).rejects.toBe(GIVES_UP);
  streams[0]?.open();
  await turns();
  streams[0]?.open();
  await second;
  expect(streams).toHaveLength(1);
  expect(members.asker.has(members.toAnswerer)).toBe(true);
  expect(members.answerer.has(members.toAsker)).toBe(true);
});

test('a proof whose last word never comes ends, and the next one begins anew', async () => {
  const members = makeMembers();
  const { streams, ensure } = beginSlowly(members);
  const first = ensure();
  await turns();
  // The answer arrives, the word that ours is believed does not.
  const answer = streams[0]?.held.splice(0, 1)[0];
  streams[0]?.arrive(answer as Uint8Array);
  await turns();
  const failure = first.catch((error: unknown) => error);
  await members.clock.advance(5_000);
  expect(await failure).toMatchObject({ code: 'deadline' });
  const second = ensure();
  await turns();
  streams[1]?.open();
  await second;
});

test('a stream that ended before anybody listened is at its end', async () => {
  const [near] = streamPair();
  near.abort();
  await expect(feed(near.stream, new AbortController().signal, () => true)).resolves.toBe(
    undefined,
  );
});
