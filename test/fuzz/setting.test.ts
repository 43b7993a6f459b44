import assert from 'node:assert/strict';
import { expect, it } from 'vitest';
import { MetaError } from '../../src/meta/engine.ts';
import { parseSetting } from '../../src/meta/parse-setting.ts';
import { SETTING, settingBytes } from '../meta/setting-json.ts';

const ROUNDS = 100_000;
const OUTCOMES = ['bad-setting', 'incompatible', 'ok'];
const ODD_VALUES: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 1.5, 2, 64, 4096, 65_536, 1e308, -0, 2 ** 53, 2 ** 64],
  ...['', 'none', 'zstd', 'LZ4', 'removed', 'sm4gcm', 'chacha20-rsa', '1.4.1', '99', '\u0000'],
  ...['AAAA', 'A'.repeat(64), '/AGh56Qbhr/zoJBDtCz7meHTdsLzrdOs+fCE2nmpefAQUyxCPA=='],
  ...[[], {}, [1, [2]], { a: { b: null } }],
];
const FIELDS = [
  ...Object.keys(SETTING),
  ...['SecretKey', 'SessionToken', 'EncryptKey', 'KeyEncrypted', 'Shards', 'HashPrefix'],
  ...['Capacity', 'Inodes', 'MaxClientVersion', 'constructor', '__proto__', 'toString', 'New'],
];
const FRAGMENTS = ['{', '}', '[', ']', '"', ',', ':', '\\u0000', '\\ud800', '1e999', 'null', '-'];

/** Numbers that are the same in each run. @see https://prng.di.unimi.it/splitmix64.c, in 32 bits */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x9e37_79b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % limit;
  };
}

/** Sets some fields to values of other fields and other types. */
function mutateFields(below: (limit: number) => number): Uint8Array {
  const setting: Record<string, unknown> = { ...SETTING };
  for (let count = below(3) + 1; count > 0; count -= 1) {
    const field = FIELDS[below(FIELDS.length)] as string;
    if (below(8) === 0) delete setting[field];
    else setting[field] = ODD_VALUES[below(ODD_VALUES.length)];
  }
  return settingBytes(setting);
}

/** Changes bytes, cuts, repeats, and puts fragments of JSON between. */
function mutateBytes(below: (limit: number) => number, bytes: Uint8Array): Uint8Array {
  let result = Buffer.from(bytes);
  for (let count = below(4) + 1; count > 0 && result.byteLength > 0; count -= 1) {
    const at = below(result.byteLength);
    const fragment = Buffer.from(FRAGMENTS[below(FRAGMENTS.length)] as string);
    const kind = below(5);
    if (kind === 0) result.writeUInt8(below(256), at);
    else if (kind === 1) result = result.subarray(0, at);
    else if (kind === 2)
      result = Buffer.concat([result.subarray(0, at), fragment, result.subarray(at)]);
    else if (kind === 3) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1)]);
    else result = Buffer.concat([result, result.subarray(at)]);
  }
  return result;
}

function noise(below: (limit: number) => number): Uint8Array {
  return Uint8Array.from({ length: below(200) }, () => below(256));
}

it(`gives a setting or a typed error for ${ROUNDS} mutated and random ones`, () => {
  const below = seeded(20_260_801);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < ROUNDS; round += 1) {
    const kind = below(10);
    let bytes = kind === 0 ? noise(below) : mutateFields(below);
    if (kind > 5) bytes = mutateBytes(below, bytes);
    const outcome = outcomeOf(bytes);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  // Each outcome was reached often: the mutations are neither harmless nor hopeless.
  const often = [...outcomes].filter(([, count]) => count > ROUNDS / 100);
  expect(often.map(([outcome]) => outcome).toSorted()).toEqual(OUTCOMES);
  expect(outcomes.size).toBe(OUTCOMES.length);
});

it('survives JSON that is nested without end', () => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ] as const) {
    const deep = open.repeat(200_000) + '1' + close.repeat(200_000);
    expect(outcomeOf(Buffer.from(`{"Name":${deep}}`))).toBe('bad-setting');
  }
});

function outcomeOf(bytes: Uint8Array): string {
  try {
    const setting = parseSetting(bytes);
    assert(/^[a-z0-9-]{3,63}$/.test(setting.name));
    assert(Math.log2(setting.blockBytes) % 1 === 0);
    assert(setting.shards >= 1);
    return 'ok';
  } catch (error) {
    if (!(error instanceof MetaError)) throw error;
    assert(error.message.startsWith('setting: '));
    return error.code;
  }
}
