import { expect, it } from 'vitest';
import { toAttr } from '../../../src/meta/sqlite/sqlite-values.ts';

const ROW = {
  type: 1n,
  flags: 0n,
  mode: 384n,
  uid: 4_294_967_290n,
  gid: -6n,
  atime: 1_700_000_000_123_456n,
  mtime: 1_795_561_746_482_191n,
  ctime: -1_721_518_473_709_551n,
  atimensec: 789n,
  mtimensec: 792n,
  ctimensec: -613n,
  nlink: 2n,
  length: 5500n,
  rdev: null,
  parent: null,
  access_acl_id: 3n,
  default_acl_id: null,
  tier_id: null,
};

it('makes an attribute of a row', () => {
  expect(toAttr(ROW)).toEqual({
    type: 1,
    mode: 0o600,
    uid: 4_294_967_290,
    gid: 4_294_967_290,
    atime: { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
    mtime: { seconds: 1_795_561_746, nanoseconds: 482_191_792 },
    // The year 2500, overflown when it was stored; shown as the original client shows it.
    ctime: { seconds: -1_721_518_473, nanoseconds: 999_999_999 },
    nlink: 2,
    length: 5500n,
    rdev: 0,
    parent: 0n,
    flags: 0,
    accessAclId: 3,
    defaultAclId: 0,
    tier: 0,
  });
});

it('says corrupt for values that make no sense', () => {
  const corrupt = expect.objectContaining({ code: 'corrupt' });
  expect(() => toAttr({ ...ROW, type: 0n })).toThrow(corrupt);
  expect(() => toAttr({ ...ROW, uid: 'root' })).toThrow(corrupt);
});
