import { CodedError } from '../../runtime/coded-error.ts';

/** A frame from the device does not have the layout that its opcode asks for. */
export class WireError extends CodedError<'malformed-frame'> {
  /** @param message - which frame, and what is wrong with it */
  constructor(message: string) {
    super('malformed-frame', message);
  }
}
