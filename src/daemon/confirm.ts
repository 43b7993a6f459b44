import { createInterface } from 'node:readline/promises';

/**
 * Asks a question on standard error and reads the answer from standard input.
 *
 * @returns whether the answer is yes; at the end of the input there is none, which is no
 */
export async function isConfirmed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // At the end of the input there is no answer, and no promise is kept.
    const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
    const answer = await Promise.race([lines.question(`${question} [y/N] `), ended]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
