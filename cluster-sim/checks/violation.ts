/** Something that must hold and does not. */
export interface Violation {
  /** What must hold. */
  readonly check: string;
  /** What was seen instead. */
  readonly text: string;
}
