import { systemRandom } from '../../src/runtime/random.ts';
import { createObjectStore } from '../../src/store/create-store.ts';
import { FileStore } from '../../src/store/file-store.ts';
import { makeTempDir } from '../servers/temp.ts';
import { storeContext, storeSpec } from '../store/store-context.ts';
import { objectStoreContract } from './object-store-contract.ts';

objectStoreContract('file', async () => ({
  store: new FileStore({ bucket: `${await makeTempDir('store')}/`, random: systemRandom }),
  hasChecksums: false,
  dispose: () => Promise.resolve(),
}));

objectStoreContract('file with all decorators', async () => {
  const spec = storeSpec('file', `${await makeTempDir('store')}/`);
  const { signal } = new AbortController();
  return {
    store: await createObjectStore(spec, storeContext(), {}, signal),
    hasChecksums: false,
    dispose: () => Promise.resolve(),
  };
});

objectStoreContract('three file shards', async () => {
  const spec = { ...storeSpec('file', `${await makeTempDir('store')}/%d/`), shards: 3 };
  const { signal } = new AbortController();
  return {
    store: await createObjectStore(spec, storeContext(), {}, signal),
    hasChecksums: false,
    dispose: () => Promise.resolve(),
  };
});
