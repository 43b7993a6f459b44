export const operation = 'read';
