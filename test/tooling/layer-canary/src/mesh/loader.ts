import { Redis } from 'ioredis';

export const metadata = Redis;
