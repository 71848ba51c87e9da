/** A progress bar on the error output: silent where that is no terminal. */

import cliProgress from 'cli-progress';

export interface Progress {
  show(done: number, of: number, what: string): void;
  stop(): void;
}

/** Draws a bar until `stop()`. */
export function startProgress(label: string): Progress {
  const bar = new cliProgress.SingleBar({
    format: `${label.padEnd(12)} {bar} {percentage}%  {what}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
    // The terminal is left as it is, so that Ctrl-C needs no clearing up.
    linewrap: true,
  });
  let started = false;
  return {
    show(done, of, what) {
      if (!started) bar.start(of, done, { what });
      else bar.update(done, { what });
      started = true;
    },
    stop() {
      if (started) bar.stop();
    },
  };
}
