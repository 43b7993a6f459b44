import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mayAllowOther, mountArgument } from '../../../src/fuse/native/mount-options.ts';
import { deviceIn } from '../../../src/fuse/native/mounted.ts';
import { makeTempDir } from '../../servers/temp.ts';

const MOUNTINFO = `22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
40 22 0:38 / /mnt/a rw - fuse.juicefs JuiceFS:x rw
41 22 0:39 / /mnt/a rw - fuse.cachemesh JuiceFS:x rw
42 22 0:40 / /mnt/with\\040space\\134 rw - fuse.cachemesh JuiceFS:x rw
`;

test('the topmost mount of a folder is found', () => {
  expect(deviceIn(MOUNTINFO, '/mnt/a')).toBe('0:39');
  expect(deviceIn(MOUNTINFO, '/mnt/with space\\')).toBe('0:40');
  expect(deviceIn(MOUNTINFO, '/mnt')).toBeUndefined();
});

test('mount options are joined, with commas of the source escaped', () => {
  const options = { allowOther: true, entryTimeoutMs: 1500, attrTimeoutMs: 0 };
  expect(mountArgument({ ...options, sourceName: 'JuiceFS:a,b' })).toBe(
    '-ofsname=JuiceFS:a\\,b,subtype=cachemesh,allow_other,ro,default_permissions,use_ino,entry_timeout=1.5,attr_timeout=0',
  );
  expect(mountArgument({ ...options, sourceName: 'x', allowOther: false })).not.toContain(
    'allow_other',
  );
});

test('others are let in by root, or by users where the configuration says so', async () => {
  const config = join(await makeTempDir('fuseconf'), 'fuse.conf');
  expect(await mayAllowOther(0, config)).toBe(true);
  expect(await mayAllowOther(1000, config)).toBe(false);
  await writeFile(config, '#user_allow_other\n');
  expect(await mayAllowOther(1000, config)).toBe(false);
  await writeFile(config, '# x\nuser_allow_other\n');
  expect(await mayAllowOther(1000, config)).toBe(true);
});
