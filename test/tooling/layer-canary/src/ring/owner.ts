import type { Origin } from '../store/origin.ts';

export type Owner = Origin;
