/** The command line of `npm run matrix`. */

import { Command, type CommandUnknownOpts, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { exitCodes } from '../command-line.ts';
import { RUNTIME_NAMES, type RuntimeName } from './runtimes.ts';
import { SUITES, type Suite } from './suites.ts';

/** What the run was told. */
export interface MatrixOptions {
  readonly only: readonly RuntimeName[];
  readonly suite: readonly Suite[];
  readonly json: boolean;
}

/** The run as a command. */
export function matrixCommand(run: (options: MatrixOptions) => Promise<void>): CommandUnknownOpts {
  return new Command('npm run matrix')
    .usage('-- [options]')
    .description(
      'Runs the tests of the built library on each runtime, and prints what passed, what failed, and what is not ' +
        'run there and why. The runtimes are npm packages, installed into node_modules/.cache/runtimes.',
    )
    .addOption(listOf('--only <names>', 'runtimes', RUNTIME_NAMES))
    .addOption(listOf('--suite <names>', 'suites', SUITES))
    .option('--json', 'print the outcome as JSON')
    .addHelpText('after', exitCodes('a test failed, or a runtime could not be had'))
    .action(({ only, suite, json }) => run({ only, suite, json: json ?? false }));
}

/** An option that is some of the names that there are, in their order. All of them by default. */
function listOf<const Flags extends string, T extends string>(
  flags: Flags,
  what: string,
  known: readonly T[],
): Option<Flags, undefined, T[], T[]> {
  return new Option(flags, `${what}: some of ${known.join(',')}`)
    .argParser((text): T[] => {
      const wanted = text.split(',');
      const wrong = wanted.find((name) => !known.includes(name as T));
      if (wrong !== undefined) throw new InvalidArgumentError(`'${wrong}' is none of ${known.join(', ')}.`);
      return known.filter((name) => wanted.includes(name));
    })
    .default([...known], 'all') as unknown as Option<Flags, undefined, T[], T[]>;
}
