import { CodedError } from '../../runtime/coded-error.ts';

/**
 * The kernel connection failed: `device-failed` (the device returned what it never should),
 * `worker-died` (a thread that held requests ended), `protocol` (no agreement with the kernel).
 */
export class DeviceError extends CodedError<'device-failed' | 'worker-died' | 'protocol'> {}
