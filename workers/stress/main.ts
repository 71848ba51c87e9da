/** `npm run stress`: threads use one heap while others of them are killed; see --help, and `referee.ts`. */

import { runProgram } from '../command-line.ts';
import { stressCommand } from './options.ts';
import { printStress } from './supervisor.ts';

const log = (line: string): void => console.error(line);
const program = stressCommand('npm run stress', (options) => printStress(options, 'npm run stress --', log));
await runProgram(program.usage('-- [options]'));
