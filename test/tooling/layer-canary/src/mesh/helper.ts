import { canary } from '../../test/canary.ts';

export const helper = canary;
