/** The command line of `npm run matrix`. */

import { parseArgs } from 'node:util';
import { RUNTIME_NAMES, type RuntimeName } from './runtimes.ts';
import { SUITES, type Suite } from './suites.ts';

export const USAGE = `usage: npm run matrix -- [options]

Runs the tests of the built library on each runtime, and prints what passed, what failed, and what is
not run there and why. The runtimes are npm packages, installed into node_modules/.cache/runtimes.

  --only NAMES    some of ${RUNTIME_NAMES.join(',')}
  --suite NAMES   some of ${SUITES.join(',')}
  --json          the outcome as JSON on the standard output
  --help          this text

Exit code: 0 when all passed, 1 when a test failed or a runtime could not be had, 2 for a wrong option.
`;

export interface Options {
  readonly runtimes: readonly RuntimeName[];
  readonly suites: readonly Suite[];
  readonly json: boolean;
  readonly help: boolean;
}

/** Reads the arguments, or says what is wrong with them. */
export function readOptions(args: readonly string[]): Options | { readonly problem: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        suite: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return {
      runtimes: someOf('only', RUNTIME_NAMES, values.only),
      suites: someOf('suite', SUITES, values.suite),
      json: values.json,
      help: values.help,
    };
  } catch (error) {
    return { problem: `${(error as Error).message} (see --help)` };
  }
}

/** In the order of `known`. All of them when none are named. */
function someOf<T extends string>(option: string, known: readonly T[], names: string | undefined): T[] {
  if (names === undefined) return [...known];
  const wanted = names.split(',');
  const wrong = wanted.find((name) => !known.includes(name as T));
  if (wrong !== undefined) throw new Error(`--${option}: '${wrong}' is none of ${known.join(', ')}`);
  return known.filter((name) => wanted.includes(name));
}
