import { readFileSync } from 'node:fs';
import type { OpcodeName } from '../../../src/fuse/wire/opcodes.ts';

const FRAMES = JSON.parse(
  readFileSync(new URL('./recorded-frames.json', import.meta.url), 'utf8'),
) as Record<string, { request: string; reply?: string }>;

/** Request types of which a frame was recorded (Linux 6.18, protocol 7.45). */
export const RECORDED_NAMES = Object.keys(FRAMES) as OpcodeName[];

/** A fresh copy of a frame that the kernel sent, and of the reply that it took. */
export function recordedFrame(name: OpcodeName): {
  request: Uint8Array;
  reply: string | undefined;
} {
  const frame = FRAMES[name];
  if (frame === undefined) throw new Error(`no recorded ${name}`);
  return { request: new Uint8Array(Buffer.from(frame.request, 'hex')), reply: frame.reply };
}
