export const canary = 'test';
