/** A child process: does one job and prints its numbers, and the seconds of CPU that they took, as the last line. */

import type { Job } from './job.ts';
import { perform } from './workloads.ts';

const numbers = await perform(JSON.parse(process.argv[2]!) as Job);
const { user, system } = process.cpuUsage();
process.stdout.write(`${JSON.stringify({ ...numbers, cpu: (user + system) / 1e6 })}\n`);
