import { describe, expect, it } from 'vitest';
import { OPCODES } from '../../../src/fuse/wire/opcodes.ts';
import type { OpcodeName } from '../../../src/fuse/wire/opcodes.ts';
import { decodeRequest } from '../../../src/fuse/wire/request.ts';
import { WireError } from '../../../src/fuse/wire/wire-error.ts';
import { recordedFrame, RECORDED_NAMES } from './recorded-frames.ts';

const text = (value: string) => new Uint8Array(Buffer.from(value));

/** What Linux 6.18 sent while programs ran on a mount: bodies by request type. */
const BODIES: Partial<Record<OpcodeName, unknown>> = {
  lookup: { name: text('nope') },
  getxattr: { size: 255, name: text('security.selinux') },
  listxattr: { size: 256 },
  lseek: { offset: 0n, whence: 4 },
};

describe('decodeRequest', () => {
  it.each(RECORDED_NAMES)('decodes a recorded %s', (name) => {
    const frame = recordedFrame(name).request;
    const request = decodeRequest(frame);
    expect(request.name).toBe(name);
    expect(request.header).toMatchObject({
      length: frame.byteLength,
      opcode: OPCODES[name].number,
    });
  });

  it.each(Object.entries(BODIES))('decodes the body of %s', (name, expected) => {
    const request = decodeRequest(recordedFrame(name as OpcodeName).request);
    expect(request).toMatchObject({ body: expected });
  });

  it('decodes what the kernel offers at INIT', () => {
    const request = decodeRequest(recordedFrame('init').request);
    expect(request).toMatchObject({ body: { major: 7, minor: 45, maxReadahead: 131_072 } });
    expect(request.name === 'init' && request.body.flags).toBe(0x5_fd73_fffffbn);
  });

  it('decodes several inodes to forget', () => {
    const request = decodeRequest(recordedFrame('batchForget').request);
    if (request.name !== 'batchForget') throw new Error('wrong name');
    expect(request.body.items.length).toBeGreaterThan(1);
    for (const { ino, count } of request.body.items) {
      expect(ino).toBeGreaterThan(1n);
      expect(count).toBeGreaterThan(0n);
    }
  });

  it.each(RECORDED_NAMES)('takes no %s that is cut short or too long', (name) => {
    const frame = recordedFrame(name).request;
    expect(() => decodeRequest(frame.slice(0, -1))).toThrow(WireError);
    expect(() => decodeRequest(Buffer.concat([frame, Buffer.alloc(1)]))).toThrow(WireError);
    expect(() => decodeRequest(frame.slice(0, 39))).toThrow(WireError);
  });

  it('refuses a batch that claims more inodes than it has', () => {
    const frame = recordedFrame('batchForget').request;
    new DataView(frame.buffer).setUint32(40, 0xffff_ffff, true);
    expect(() => decodeRequest(frame)).toThrow(WireError);
  });

  it('refuses names that are empty or contain a slash', () => {
    const frame = recordedFrame('lookup').request;
    frame[40] = 0;
    expect(() => decodeRequest(frame)).toThrow(WireError);
    frame[40] = 0x2f;
    expect(() => decodeRequest(frame)).toThrow(WireError);
  });

  it('passes over an opcode of the future', () => {
    const frame = recordedFrame('lookup').request;
    new DataView(frame.buffer).setUint32(4, 99, true);
    expect(decodeRequest(frame)).toMatchObject({ name: undefined, header: { opcode: 99 } });
  });

  it('has one row per opcode', () => {
    const numbers = Object.values(OPCODES).map((row) => row.number);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(Math.max(...numbers)).toBe(53);
  });
});
