import cliProgress from 'cli-progress';

/** Shows how much is done of something whose end is not known. */
export interface TallyDisplay {
  update(text: string): void;
  end(): void;
}

/** On a terminal, a line that changes; elsewhere nothing: what is printed at the end is enough. */
export function tallyDisplay(output: NodeJS.WriteStream, isWanted: boolean): TallyDisplay {
  if (!output.isTTY || !isWanted) return { update: () => undefined, end: () => undefined };
  const bar = new cliProgress.SingleBar({
    ...{ format: '{text} ({duration_formatted})', stream: output },
    ...{ hideCursor: true, clearOnComplete: true },
  });
  bar.start(0, 0, { text: '' });
  return { update: (text) => bar.update(0, { text }), end: () => bar.stop() };
}
