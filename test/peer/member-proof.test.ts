import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NodeId, toNodeId } from '../../src/block/node-id.ts';
import { deriveGroupKey } from '../../src/peer/group-key.ts';
import { MemberProof, ProofError, type ProofOptions } from '../../src/peer/member-proof.ts';
import { PROOF_MESSAGE_BYTES_MAX } from '../../src/peer/proof-message.ts';
import { SPOKEN_VERSIONS } from '../../src/peer/protocol-version.ts';
import { systemRandom } from '../../src/runtime/random.ts';

const VOLUME = '5d2e8a51-0000-4000-8000-000000000000';
const key = deriveGroupKey(Buffer.from('what members know'), VOLUME);
const otherKey = deriveGroupKey(Buffer.from('what others know'), VOLUME);
const [alice, bob, mallory] = ['alice', 'bob', 'mallory'].map(toNodeId) as [NodeId, NodeId, NodeId];

function optionsOf(self: NodeId, differs: Partial<ProofOptions> = {}): ProofOptions {
  return {
    key,
    self,
    versions: SPOKEN_VERSIONS,
    context: 'test',
    channel: new Uint8Array(0),
    random: systemRandom,
    ...differs,
  };
}

/** Lets two sides talk; `wire` may change or swallow what goes over. */
function talk(
  connecting: ProofOptions,
  accepting: ProofOptions,
  wire: (bytes: Uint8Array, step: number) => Uint8Array = (bytes) => bytes,
) {
  const { proof: one, send } = MemberProof.connect(connecting, bob);
  const other = MemberProof.accept(accepting);
  const answered = attempt(other, wire(send, 0));
  const proved = attempt(one, wire(wordsOf(answered), 1));
  const checked = attempt(other, wire(wordsOf(proved), 2));
  return { answered, proved, checked };
}

type Outcome = ReturnType<MemberProof['push']> | ProofError;

function attempt(side: MemberProof, bytes: Uint8Array): Outcome {
  try {
    return side.push(bytes);
  } catch (error) {
    if (error instanceof ProofError) return error;
    throw error;
  }
}

function wordsOf(outcome: Outcome): Uint8Array {
  const words = outcome instanceof ProofError ? outcome.lastWords : outcome.send;
  return words ?? new Uint8Array(0);
}

function isProved(outcome: Outcome): boolean {
  return !(outcome instanceof ProofError) && outcome.proved !== undefined;
}

describe('members', () => {
  test('prove themselves to each other, and agree on the highest common version', () => {
    const { proved, checked } = talk(optionsOf(alice), optionsOf(bob));
    expect(proved).toMatchObject({ proved: { peer: bob, version: 3 } });
    expect(checked).toMatchObject({ proved: { peer: alice, version: 3 } });
    const old = talk(optionsOf(alice, { versions: { min: 2, max: 2 } }), optionsOf(bob));
    expect(old.checked).toMatchObject({ proved: { peer: alice, version: 2 } });
  });

  test('may be heard in pieces of any size, with a request right behind', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(cuts, fc.uint8Array({ maxLength: 80 }), (sizes, request) => {
        const other = MemberProof.accept(optionsOf(bob));
        const { proof: one, send } = MemberProof.connect(optionsOf(alice), bob);
        const proved = one.push(inPieces(other, send, sizes)?.send as Uint8Array);
        const rest = inPieces(other, proved.send as Uint8Array, sizes, request)?.proved?.rest;
        const all = [proved.send as Uint8Array, request].map((each) => each.byteLength);
        expect(rest?.byteLength).toBeLessThanOrEqual(all[1] as number);
        expect([...(rest ?? [])]).toEqual([...request.subarray(0, rest?.byteLength)]);
      }),
    );
  });

  test.each([
    ['secret', { key: otherKey }, 'forbidden', /secret/],
    ['group', { context: 'other' }, 'forbidden', /secret/],
    ['channel', { channel: Uint8Array.of(1) }, 'forbidden', /secret/],
    ['node', { self: mallory }, 'forbidden', /another node than bob/],
    ['versions', { versions: { min: 4, max: 9 } }, 'protocol', /bob speaks versions 4 to 9/],
  ] as const)('of another %s hear so on both sides', (_, differs, code, message) => {
    const { answered, proved, checked } = talk(optionsOf(alice), optionsOf(bob, differs));
    expect(proved).toMatchObject({ name: 'ProofError', code });
    expect((proved as ProofError).message).toMatch(message);
    const theirs = answered instanceof ProofError ? answered : checked;
    expect(theirs).toMatchObject({ name: 'ProofError', code });
  });
});

/** The last step of `side` that did something. */
function inPieces(
  side: MemberProof,
  bytes: Uint8Array,
  sizes: readonly number[],
  behind = new Uint8Array(0),
) {
  const all = Buffer.concat([bytes, behind]);
  for (let at = 0, index = 0; at < all.byteLength; index += 1) {
    const size = sizes[index % sizes.length] as number;
    const step = side.push(all.subarray(at, at + size));
    if (step.send !== undefined || step.proved !== undefined) return step;
    at += size;
  }
  return undefined;
}

describe('one who does not know the key', () => {
  test('is not believed with any bit of any message changed on the way', () => {
    for (const step of [0, 1, 2]) {
      const length = [49, 70, 37][step] as number;
      for (let bit = 0; bit < length * 8; bit += 1) {
        const flip = (bytes: Uint8Array, at: number) => {
          if (at !== step) return bytes;
          expect(bytes.byteLength).toBe(length);
          const copy = Uint8Array.from(bytes);
          copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
          return copy;
        };
        const { proved, checked } = talk(optionsOf(alice), optionsOf(bob), flip);
        // Who connected has believed by the time of the last message, and hears no more.
        const believed = [isProved(proved) && step < 2, isProved(checked)];
        expect(believed, `bit ${bit} of message ${step}`).toEqual([false, false]);
      }
    }
  });

  test('cannot lower the version', () => {
    const lower = (bytes: Uint8Array, step: number) => {
      if (step > 0) return bytes;
      const copy = Uint8Array.from(bytes);
      copy[6] = 2;
      return copy;
    };
    const { proved, checked } = talk(optionsOf(alice), optionsOf(bob), lower);
    expect([isProved(proved), isProved(checked)]).toEqual([false, false]);
  });

  test('cannot say again what a member said before', () => {
    const said: Uint8Array[] = [];
    const tape = (bytes: Uint8Array) => {
      said.push(bytes);
      return bytes;
    };
    expect(isProved(talk(optionsOf(alice), optionsOf(bob), tape).checked)).toBe(true);
    const [hello, answer, proof] = said as [Uint8Array, Uint8Array, Uint8Array];
    const again = MemberProof.accept(optionsOf(bob));
    expect(attempt(again, hello)).toHaveProperty('send');
    expect(attempt(again, proof)).toMatchObject({ code: 'forbidden' });
    const { proof: next } = MemberProof.connect(optionsOf(alice), bob);
    expect(attempt(next, answer)).toMatchObject({ code: 'forbidden' });
  });

  test('cannot throw back what a member says', () => {
    // To who connects: its own hello, and the same words as an answer.
    const { proof: one, send } = MemberProof.connect(optionsOf(alice), bob);
    expect(attempt(one, send)).toMatchObject({ code: 'protocol' });
    // To who was connected to: its own answer in place of a proof, whole and as its proof alone.
    const accepting = () => {
      const side = MemberProof.accept(optionsOf(bob));
      const { send: hello } = MemberProof.connect(optionsOf(mallory), bob);
      return { side, answer: side.push(hello).send as Uint8Array };
    };
    const whole = accepting();
    expect(attempt(whole.side, whole.answer)).toMatchObject({ code: 'protocol' });
    const alone = accepting();
    const words = Buffer.concat([
      Uint8Array.of(0x43, 0x4d, 0x50, 1, 3),
      alone.answer.subarray(-32),
    ]);
    expect(attempt(alone.side, words)).toMatchObject({ code: 'forbidden' });
    // In our own name.
    const { send: own } = MemberProof.connect(optionsOf(bob), bob);
    expect(attempt(MemberProof.accept(optionsOf(bob)), own)).toMatchObject({ code: 'forbidden' });
  });

  test('cannot use one member to prove itself to another', () => {
    // Alice connects to mallory, who wants to be alice at bob.
    const { proof: one, send } = MemberProof.connect(optionsOf(alice), mallory);
    const toBob = Uint8Array.from(Buffer.from(send));
    expect(attempt(MemberProof.accept(optionsOf(bob)), toBob)).toMatchObject({ code: 'forbidden' });
    // With a hello of its own that has alice's nonce.
    const side = MemberProof.accept(optionsOf(bob));
    const { send: hello } = MemberProof.connect(
      optionsOf(alice, { random: { ...systemRandom, bytes: () => send.slice(9, 41) } }),
      bob,
    );
    const answer = side.push(hello).send as Uint8Array;
    expect(attempt(one, answer)).toMatchObject({ code: 'forbidden' });
  });

  test('is never believed, and never makes it throw anything else, whatever it says', () => {
    const bytes = fc.uint8Array({ maxLength: PROOF_MESSAGE_BYTES_MAX + 50 });
    const begun = fc.tuple(fc.integer({ min: 0, max: 5 }), bytes).map(([kind, tail]) => {
      return Buffer.concat([Uint8Array.of(0x43, 0x4d, 0x50, 1, kind), tail]);
    });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(bytes, begun), { maxLength: 4 }),
        fc.boolean(),
        (all, first) => {
          const side = first
            ? MemberProof.connect(optionsOf(alice), bob).proof
            : MemberProof.accept(optionsOf(bob));
          for (const each of all) {
            const outcome = attempt(side, each);
            expect(isProved(outcome)).toBe(false);
            if (outcome instanceof ProofError) return;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test('a key is the same for the same secret and volume, and only then', () => {
  const make = (secret: string, volume: string) =>
    deriveGroupKey(Buffer.from(secret), volume).export().toString('hex');
  expect(make('a', VOLUME)).toBe(make('a', VOLUME.toUpperCase()));
  expect(new Set([make('a', VOLUME), make('b', VOLUME), make('a', 'x')]).size).toBe(3);
  // RFC 5869 computed by hand: extract with the salt, expand with the info and one counter byte.
  expect(make('a', 'x')).toBe('df1185e348ceeb9558035c0e422d4ecf9d7f93e2f805dd6b397ab83e49222b71');
});
