import { operation } from '../vfs/operation.ts';

export const word = operation;
