#!/usr/bin/env node
/** `npx sabheap`: the package's command. Its threads are plain worker threads: it needs no Piscina. */

import { createRequire } from 'node:module';
import { Command } from '@commander-js/extra-typings';
import { exitCodes, runProgram } from '../command-line.ts';
import { jobCommand } from '../index-job/options.ts';
import { printJob } from '../index-job/report.ts';
import { threads } from '../index-job/threads.ts';
import { stressCommand } from '../stress/options.ts';
import { printStress } from '../stress/supervisor.ts';
import { doctorCommand } from './doctor.ts';
import { inspectCommand } from './inspect.ts';

const { version } = createRequire(import.meta.url)('sabheap/package.json') as { readonly version: string };

const index = jobCommand('index', 'the current folder', ({ paths, ...options }) =>
  printJob({ ...options, paths: paths.length > 0 ? paths : ['.'] }, threads),
);
const stress = stressCommand('stress', (options) => printStress(options, 'npx sabheap stress', () => {}));

const program = new Command('sabheap')
  .description('A multi-threaded heap inside one SharedArrayBuffer: what it does here, and what lies in one.')
  .version(version, '-V, --version')
  .addHelpText('after', exitCodes('it is not (one line says what)'))
  .addCommand(index)
  .addCommand(stress)
  .addCommand(inspectCommand())
  .addCommand(doctorCommand(version));

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  console.error(`sabheap: the output cannot be written: ${error.message}`);
  process.exit(1);
});
await runProgram(program);
