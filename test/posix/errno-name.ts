import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

/** The name of an errno as Node gives it, also where Node itself does not know it. */
export function errnoName(errno: number): string {
  return errno === constants.errno.EDQUOT ? 'EDQUOT' : getSystemErrorName(-errno);
}
