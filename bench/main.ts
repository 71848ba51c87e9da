/** `npm run bench`: asks the questions and prints the answers. Exits 1 when a measurement broke. */

import { readOptions, USAGE } from './options.ts';
import { QUESTIONS } from './questions.ts';
import { askAll, drawFigures } from './report.ts';

const options = readOptions(process.argv.slice(2));
if ('problem' in options) {
  process.stderr.write(`${options.problem}\n`);
  process.exitCode = 1;
} else if (options.help) {
  process.stdout.write(USAGE);
} else if (options.list) {
  const width = Math.max(...QUESTIONS.map(({ name }) => name.length));
  for (const { name, asks } of QUESTIONS) process.stdout.write(`${name.padEnd(width)}  ${asks}\n`);
} else if (options.draw !== undefined) {
  try {
    await drawFigures(options.draw, (text) => process.stdout.write(`${text}\n`));
  } catch (error) {
    process.stderr.write(`${options.draw} cannot be drawn: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
} else {
  process.exitCode = (await askAll(options)) ? 0 : 1;
}
