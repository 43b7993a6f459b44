/** ACLs as tables write them: `u::rw-,u:1101:r--,g::r--,m::r--,o::---`. */

/** @see linux/posix_acl_xattr.h */
const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const BITS = [
  ['r', 4],
  ['w', 2],
  ['x', 1],
] as const;
const NOBODY = 0xffff_ffff;
/** Tags without and with an id, by the letter in front. */
const TAGS: Readonly<Record<string, readonly [number, number]>> = {
  u: [0x01, 0x02],
  g: [0x04, 0x08],
  m: [0x10, 0x10],
  o: [0x20, 0x20],
};

/** The extended attribute of an ACL: `access` or `default`. */
export function aclName(kind = ''): string {
  return `system.posix_acl_${kind}`;
}

/** @returns the value of the extended attribute */
export function aclBytes(text: string): Buffer {
  const entries = text.split(',').map((entry) => {
    const [letter = '', id = '', perm = ''] = entry.split(':');
    const bytes = Buffer.alloc(ENTRY_BYTES);
    bytes.writeUInt16LE(TAGS[letter]?.[id === '' ? 0 : 1] ?? 0, 0);
    bytes.writeUInt16LE(permOf(perm), 2);
    bytes.writeUInt32LE(id === '' ? NOBODY : Number(id), 4);
    return bytes;
  });
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(VERSION, 0);
  return Buffer.concat([header, ...entries]);
}

/** @returns what {@link aclBytes} takes */
export function aclText(bytes: Buffer): string {
  const entries: string[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = bytes.readUInt16LE(at);
    const letter = Object.keys(TAGS).find((each) => TAGS[each]?.includes(tag)) ?? '?';
    const isNamed = tag === TAGS['u']?.[1] || tag === TAGS['g']?.[1];
    const id = isNamed ? String(bytes.readUInt32LE(at + 4)) : '';
    entries.push(`${letter}:${id}:${permText(bytes.readUInt16LE(at + 2))}`);
  }
  return entries.join();
}

function permOf(text: string): number {
  return BITS.reduce((all, [letter, bit]) => all | (text.includes(letter) ? bit : 0), 0);
}

function permText(perm: number): string {
  return BITS.map(([letter, bit]) => ((perm & bit) === 0 ? '-' : letter)).join('');
}
