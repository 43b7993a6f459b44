import { emptySqliteVolume } from '../servers/empty-volume.ts';
import { metaWriterContract } from './meta-writer-contract.ts';
import { sqliteWriterVolume } from './writer-volumes.ts';

metaWriterContract('SqliteEngine', async (fields) =>
  sqliteWriterVolume(await emptySqliteVolume(fields)),
);
