import { readFile, stat } from 'node:fs/promises';
import type { VolumeSetting } from '../meta/setting.ts';
import { deriveGroupKey, type GroupKey } from '../peer/group-key.ts';
import type { Logger } from '../runtime/logger.ts';
import { UsageError } from './quantities.ts';

const OPTION = '--group-secret-file';
/** A shorter secret can be guessed by who has seen one proof. */
const SECRET_BYTES_MIN = 16;
const SECRET_BYTES_MAX = 64 * 1024;
const OTHERS_MAY_READ = 0o044;

/**
 * The key that members prove to each other.
 *
 * From the file's content without spaces at its ends, when there is a file. Else from the volume's
 * setting, from what only readers of the metadata know: the private key for data encryption when the
 * volume has one (it never changes), else the object store's secret key. `juicefs status`, logs,
 * sessions and the names of objects show neither; whether they are stored encrypted makes no
 * difference. Not used: the session token, which changes within hours, and the access key, which
 * `juicefs status` shows. A volume with neither secret has nothing to tell members from others
 * than its uuid, so that gives a warning.
 *
 * @throws UsageError when the file is of no use
 */
export async function groupKeyOf(
  secretFile: string | undefined,
  setting: VolumeSetting,
  logger: Logger,
): Promise<GroupKey> {
  if (secretFile !== undefined) {
    return deriveGroupKey(await readSecretFile(secretFile, logger), setting.uuid);
  }
  const secret = secretOf(setting);
  if (secret === undefined) {
    const text = `the volume's setting holds no secret: who knows its uuid can join; use ${OPTION}`;
    logger.warn({}, text);
  }
  // The word in front keeps one kind of secret from ever meaning another.
  return deriveGroupKey(Buffer.from(secret ?? `uuid\n${setting.uuid}`), setting.uuid);
}

function secretOf({ encryptKeyPem, secretKey, storage }: VolumeSetting): string | undefined {
  if (encryptKeyPem !== undefined) return `encrypt-key\n${encryptKeyPem}`;
  // For Ceph this field holds the name of a user (JuiceFS, "How to set up object storage").
  if (secretKey === '' || storage === 'ceph') return undefined;
  return `secret-key\n${secretKey}`;
}

async function readSecretFile(path: string, logger: Logger): Promise<Uint8Array> {
  let secret: string;
  try {
    const { mode, size } = await stat(path);
    if (size > SECRET_BYTES_MAX) throw new UsageError(`${OPTION}: ${path} is larger than 64 KiB`);
    if ((mode & OTHERS_MAY_READ) !== 0) {
      logger.warn({ path }, `${OPTION}: others may read the file; chmod 600 keeps it secret`);
    }
    secret = (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${OPTION}: ${path} cannot be read: ${reason}`);
  }
  const bytes = Buffer.from(secret);
  if (bytes.byteLength === 0) throw new UsageError(`${OPTION}: ${path} is empty`);
  if (bytes.byteLength < SECRET_BYTES_MIN) {
    const advice = `make one with "openssl rand -base64 32"`;
    throw new UsageError(`${OPTION}: ${path} holds less than ${SECRET_BYTES_MIN} bytes; ${advice}`);
  }
  return bytes;
}
