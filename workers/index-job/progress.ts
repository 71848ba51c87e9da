/** A progress bar on the error output: silent where that is no terminal. */

import cliProgress from 'cli-progress';

/** A bar that is being drawn. */
export interface Progress {
  /** So much more is done. */
  add(amount: number): void;
  /** Takes the bar away. */
  stop(): void;
}

/** Draws a bar until `stop()`. */
export function startProgress(label: string, total: number): Progress {
  const bar = new cliProgress.SingleBar({
    format: `${label.padEnd(24)} {bar} {percentage}%`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    // The terminal is left as it is, so that Ctrl-C needs no clearing up.
    linewrap: true,
  });
  bar.start(total, 0);
  return { add: (amount) => bar.increment(amount), stop: () => bar.stop() };
}
