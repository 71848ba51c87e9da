/** A child process: does one job and prints its numbers as the last line. */

import type { Job } from './job.ts';
import { perform } from './workloads.ts';

const numbers = await perform(JSON.parse(process.argv[2]!) as Job);
process.stdout.write(`${JSON.stringify(numbers)}\n`);
