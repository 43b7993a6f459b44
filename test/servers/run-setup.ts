import { serveSharedRgw } from './shared-rgw.ts';
import { removeRunDir } from './temp.ts';

/**
 * Called by vitest's main process before the first test file of a project.
 *
 * @returns called once all test files are done: ends what they shared
 */
export async function setup(): Promise<() => Promise<void>> {
  const stopSharedRgw = await serveSharedRgw();
  return async () => {
    await stopSharedRgw?.();
    await removeRunDir();
  };
}
