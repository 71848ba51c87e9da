/** The command line of the stress run: what it can be told, and what it says to --help. */

import { parseArgs } from 'node:util';
import type { HeapAllocator } from '../../src/index.ts';
import { MUTANT_NAMES, SCENARIO_NAMES, type ScenarioName } from './scenarios.ts';

/** What the run was told. */
export interface StressOptions {
  readonly threads: number;
  readonly seconds: number;
  /** Kills a second. */
  readonly kill: number;
  /** The run goes on until there were so many. */
  readonly kills: number;
  readonly allocator: HeapAllocator;
  readonly cache: boolean;
  readonly only: readonly ScenarioName[];
  readonly seed: number;
  readonly json: boolean;
}

/** The command line asks for what cannot be. */
export class OptionError extends Error {}

const ALLOCATORS: readonly HeapAllocator[] = ['tlsf', 'buddy', 'linked-list', 'bump'];
const MOST_THREADS = 64;

export const HELP = `Threads share one heap and are killed at random; then everything is checked.

npm run stress -- [options]

  --threads <number>    threads at work at a time, 1 to ${MOST_THREADS} (default 4)
  --seconds <number>    how long (default 10)
  --kill <rate>         kills a second, 0 to 100 (default 5): terminated, process.exit in mid-operation, an
                        uncaught error, and now and then a JavaScript heap that is full
  --kills <number>      not to end before so many (default 0)
  --allocator <name>    ${ALLOCATORS.join(', ')} (default ${ALLOCATORS[0]})
  --no-cache            without thread caches
  --only <names>        some of ${SCENARIO_NAMES.slice(0, 5).join(', ')},
                        ${SCENARIO_NAMES.slice(5).join(', ')}
  --seed <number>       for the same choices in each thread (default: by the clock)
  --json                print the summary as JSON
  --help                print this

Ends with 1 and the seed when anything is not as it has to be, or when the run hangs; with 2 for a bad option.`;

/**
 * Reads the command line. Undefined when it asks for help.
 *
 * @throws OptionError when it asks for what cannot be
 */
export function readOptions(args: readonly string[]): StressOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const allocator = oneOf('allocator', values.allocator ?? 'tlsf', ALLOCATORS);
  // A bump allocator takes nothing back, so that everything else would only fill it.
  const all = allocator === 'bump' ? 'blocks' : SCENARIO_NAMES.join(',');
  return {
    threads: number('threads', values.threads ?? '4', 1, MOST_THREADS, true),
    seconds: number('seconds', values.seconds ?? '10', 0.1, 86_400),
    kill: number('kill', values.kill ?? '5', 0, 100),
    kills: number('kills', values.kills ?? '0', 0, 1_000_000, true),
    allocator,
    cache: !(values['no-cache'] ?? false) && allocator !== 'bump',
    only: (values.only ?? all)
      .split(',')
      .map((name) => oneOf('only', name, [...SCENARIO_NAMES, ...MUTANT_NAMES])),
    seed: number('seed', values.seed ?? String(Date.now() % 2 ** 31), 0, 2 ** 31, true),
    json: values.json ?? false,
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        threads: text,
        seconds: text,
        kill: text,
        kills: text,
        allocator: text,
        'no-cache': flag,
        only: text,
        seed: text,
        json: flag,
        help: { ...flag, short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new OptionError((error as Error).message.split('. ')[0]);
  }
}

function number(name: string, text: string, least: number, most: number, whole = false): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new OptionError(`--${name} takes ${kind} from ${least} to ${most}, got '${text}'`);
}

function oneOf<T extends string>(option: string, name: string, known: readonly T[]): T {
  const found = known.find((each) => each === name);
  if (found !== undefined) return found;
  throw new OptionError(`--${option} takes ${known.join(', ')}, got '${name}'`);
}
