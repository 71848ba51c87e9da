/**
 * The supervisor of a stress run, which is a process of its own (run.ts): when that hangs or crashes, this one
 * says so, with the seed.
 */

import { fork } from 'node:child_process';
import { clearLine, cursorTo } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { UserError } from '../user-error.ts';
import { NOTE, whyNoKills } from './deaths.ts';
import { optionsAsText, type StressOptions } from './options.ts';
import type { StressReport } from './referee.ts';

/** What the run says: how far it is, each second, and what it came to. */
export type StressMessage = { readonly progress: string } | { readonly report: StressReport };

/** How much longer than it should a run may take: starting and ending, besides waiting for what hangs. */
const GRACE_SECONDS = 180;
/** The fewest kills a second that a busy machine comes to. */
const LEAST_RATE = 0.25;

/**
 * Runs a stress run to its end and prints what it came to.
 *
 * @param command how the user starts such a run: to say how it is started again
 * @param log where progress goes that is not drawn on a terminal
 * @throws UserError when anything was not as it has to be, with the command that does the same again; or when
 * there are to be kills and this runtime cannot prove a death
 */
export async function printStress(
  options: StressOptions,
  command: string,
  log: (line: string) => void,
): Promise<void> {
  const { threads, seconds, kill, seed, json, allocator, only } = options;
  const problem = kill > 0 ? whyNoKills() : undefined;
  if (problem !== undefined) throw new UserError(problem);
  console.error(`${threads} threads for ${seconds} s on ${allocator}, seed ${seed}: ${only.join(', ')}`);
  if (kill > 0 && NOTE !== undefined) console.error(NOTE);
  const again = `again: ${command} ${optionsAsText(options)}`;
  let report: StressReport;
  try {
    report = await supervise(options, process.stderr.isTTY ? redraw : log);
  } catch (error) {
    throw new UserError(`DIFFERENCE: ${(error as Error).message}\n${again}`);
  } finally {
    if (process.stderr.isTTY) redraw('');
  }
  console.log(json ? JSON.stringify(report, null, 2) : summary(report));
  const { length } = report.differences;
  if (length > 0) throw new UserError(`${length} ${length === 1 ? 'difference' : 'differences'}\n${again}`);
}

/** Waits for the report, but not for ever. */
function supervise(options: StressOptions, tell: (line: string) => void): Promise<StressReport> {
  const { seconds, kills, patience } = options;
  const most = Math.max(seconds, kills / LEAST_RATE) + 2 * patience + GRACE_SECONDS;
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./run.js', import.meta.url)), [JSON.stringify(options)]);
    const deadline = setTimeout(() => {
      reject(new Error(`the run hangs: it has not ended after ${most} s`));
      child.kill('SIGKILL');
    }, most * 1000);
    child.on('message', (message: StressMessage) => {
      if ('report' in message) resolve(message.report);
      else tell(message.progress);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(deadline);
      reject(new Error(`the run ended with ${signal ?? `code ${code}`} and no report`));
    });
  });
}

/** Puts a line in the place of the one before. */
function redraw(line: string): void {
  cursorTo(process.stderr, 0);
  clearLine(process.stderr, 0);
  process.stderr.write(line.slice(0, process.stderr.columns - 1));
}

function summary({ seconds, operations, kills, reaped, leftBehind, differences }: StressReport): string {
  const { terminated, exited, threw, exhausted } = kills;
  return [
    `${operations} operations in ${seconds.toFixed(1)} s, ${Math.round(operations / seconds)} a second`,
    `${terminated + exited + threw + exhausted} kills: ${terminated} terminated, ${exited} exited, ` +
      `${threw} threw, ${exhausted} exhausted; ${reaped} threads reaped`,
    ...differences.map((difference) => `DIFFERENCE: ${difference}`),
    ...(differences.length > 0
      ? []
      : [
          `all contents as stamped, ${leftBehind} blocks between two hands of the dead, nothing else lost, ` +
            'the whole region allocatable',
        ]),
  ].join('\n');
}
