/**
 * The main job: one word index, built by a pool of threads in one shared heap, checked against a plain
 * Map and timed beside it. `npm start -- --help` tells what it takes.
 */

import { runProgram } from '../command-line.ts';
import { jobCommand } from './options.ts';
import { pools } from './pools.ts';
import { printJob } from './report.ts';

const texts = 'the .md, .ts, .js and .json files of the installed dependencies';
const program = jobCommand('npm start', texts, (options) => printJob(options, pools));
await runProgram(program.usage('-- [options] [paths...]'));
