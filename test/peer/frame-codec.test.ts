import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BLOCK_BYTES_MAX } from '../../src/block/geometry.ts';
import type { WireRecord } from '../../src/peer/checked-msgpack.ts';
import { encodeFrame, FrameDecoder, HEADER_BYTES_MAX } from '../../src/peer/frame-codec.ts';

interface Frame {
  readonly header: WireRecord;
  readonly payload: Uint8Array;
}

function collector() {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder({
    roomFor: (_, payloadBytes) => new Uint8Array(payloadBytes),
    onFrame: (header, payload) => void frames.push({ header, payload }),
  });
  return { frames, decoder };
}

const frame = fc.record({
  header: fc.record({ type: fc.string(), offset: fc.nat() }),
  payload: fc.uint8Array({ maxLength: 600 }),
});

test('frames come back whole, however their bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
      fc.boolean(),
      (sent, cuts, usesRoom) => {
        const bytes = Buffer.concat(
          sent.flatMap(({ header, payload }) => [encodeFrame(header, payload.byteLength), payload]),
        );
        const { frames, decoder } = collector();
        for (let at = 0, cut = 0; at < bytes.byteLength; cut += 1) {
          const chunk = bytes.subarray(at, at + (cuts[cut % cuts.length] as number));
          const room = usesRoom ? decoder.room?.subarray(0, chunk.byteLength) : undefined;
          room?.set(chunk.subarray(0, room.byteLength));
          decoder.push(room ?? chunk);
          at += room?.byteLength ?? chunk.byteLength;
        }
        expect(frames.map(({ header }) => header)).toEqual(
          sent.map(({ header, payload }) =>
            payload.byteLength > 0 ? { ...header, bytes: payload.byteLength } : header,
          ),
        );
        frames.forEach(({ payload }, index) => {
          expect(Buffer.compare(payload, sent[index]?.payload as Uint8Array)).toBe(0);
        });
      },
    ),
  );
});

describe('bytes that are no frame', () => {
  const good = encodeFrame({ type: 'end' });
  const changed = (at: number, byte: number) => {
    const bytes = good.slice();
    bytes[at] = byte;
    return bytes;
  };
  const header = (bytes: number) => {
    const prefix = good.slice(0, 12);
    new DataView(prefix.buffer).setUint32(4, bytes);
    return prefix;
  };
  test.each([
    ['a bit of the header', changed(20, 1), /checksum/],
    ['magic', changed(0, 0), /no frame/],
    ['version', changed(3, 3), /version 3 where 2 was agreed on/],
    ['no header', header(0), /0 bytes/],
    ['header too long', header(HEADER_BYTES_MAX + 1), /65537 bytes/],
    ['payload too long', encodeFrame({}, BLOCK_BYTES_MAX + 1), /no possible length/],
    ['negative payload', encodeFrame({ bytes: -1 }), /no possible length/],
    ['fractional payload', encodeFrame({ bytes: 1.5 }), /no possible length/],
    ['payload of text', encodeFrame({ bytes: '9' }), /no possible length/],
  ])('%s', (_, bytes, message) => {
    const { frames, decoder } = collector();
    expect(() => decoder.push(bytes)).toThrow(message);
    decoder.push(good);
    expect(frames).toEqual([]);
  });
});

test('a decoder that was stopped writes to no room any more', () => {
  const room = new Uint8Array(4);
  const decoder = new FrameDecoder({
    roomFor: () => room,
    onFrame: () => expect.unreachable(),
  });
  decoder.push(encodeFrame({ type: 'data' }, 4));
  decoder.push(Uint8Array.of(1, 2));
  decoder.stop();
  decoder.push(Uint8Array.of(3, 4));
  expect([...room]).toEqual([1, 2, 0, 0]);
});

describe('the room for the next bytes', () => {
  const begun = () => {
    const { decoder } = collector();
    decoder.push(encodeFrame({ type: 'data' }, 10));
    return decoder;
  };

  test('is what is left of a payload, and of nothing else', () => {
    const decoder = begun();
    expect(decoder.room?.byteLength).toBe(10);
    decoder.push(new Uint8Array(4));
    expect(decoder.room?.byteLength).toBe(6);
    decoder.push(new Uint8Array(6));
    expect(decoder.room).toBeUndefined();
  });

  test('is gone when decoding has stopped: its memory may serve others by then', () => {
    const decoder = begun();
    decoder.stop();
    expect(decoder.room).toBeUndefined();
  });
});
