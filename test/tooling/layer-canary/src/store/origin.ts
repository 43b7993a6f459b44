export type Origin = 'bucket';
