/**
 * The main job: one word index, built by a pool of threads in one shared heap, checked against a plain
 * Map and timed beside it. `npm start -- --help` tells what it takes.
 */

import { runJob } from './job.ts';
import { JobError } from './job-error.ts';
import { HELP, readOptions } from './options.ts';
import { failuresOf, formatReport } from './report.ts';

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    console.log(HELP);
    return;
  }
  const report = await runJob(options);
  console.log(options.json ? JSON.stringify(report, null, 2) : formatReport(report));
  const failures = failuresOf(report);
  if (failures.length > 0) throw new JobError(`failed: ${failures.join('; ')}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof JobError)) throw error;
  console.error(`index-job: ${error.message}`);
  process.exitCode = 1;
}
