import { DatabaseSync } from 'node:sqlite';

export const Database = DatabaseSync;
