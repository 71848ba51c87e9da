/**
 * `npm run stress`: threads use one heap while others of them are killed; see --help, and `referee.ts`.
 *
 * The run is a process of its own (run.ts): when it hangs or crashes, this one says so, with the seed.
 */

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { HELP, OptionError, readOptions, type StressOptions } from './options.ts';
import type { StressReport } from './referee.ts';

/** How much longer than it should a run may take: starting, ending, and waiting for what hangs. */
const GRACE_SECONDS = 90;
/** The fewest kills a second that a busy machine comes to. */
const LEAST_RATE = 0.5;

/** Waits for the report, but not for ever. */
function supervise(args: readonly string[], { seconds, kills, seed }: StressOptions): Promise<StressReport> {
  const most = Math.max(seconds, kills / LEAST_RATE) + GRACE_SECONDS;
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./run.js', import.meta.url)), [
      ...args,
      '--seed',
      String(seed),
    ]);
    const deadline = setTimeout(() => {
      reject(new Error(`the run hangs: it has not ended after ${most} s`));
      child.kill('SIGKILL');
    }, most * 1000);
    child.once('message', (report: StressReport) => resolve(report));
    child.once('exit', (code, signal) => {
      clearTimeout(deadline);
      reject(new Error(`the run ended with ${signal ?? `code ${code}`} and no report`));
    });
  });
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

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    console.log(HELP);
    return 0;
  }
  const { threads, seconds, seed, json, allocator, only } = options;
  console.error(`${threads} threads for ${seconds} s on ${allocator}, seed ${seed}: ${only.join(', ')}`);
  let report: StressReport;
  try {
    report = await supervise(args, options);
  } catch (error) {
    console.error(`DIFFERENCE: ${(error as Error).message}`);
    console.error(`again: npm run stress -- ${[...args, '--seed', seed].join(' ')}`);
    return 1;
  }
  console.log(json ? JSON.stringify(report, null, 2) : summary(report));
  if (report.differences.length === 0) return 0;
  console.error(`again: npm run stress -- ${[...args, '--seed', seed].join(' ')}`);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof OptionError)) throw error;
  console.error(`${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
