/** The command line of the stress run: what it can be told, and what it says to --help. */

import { Command, type CommandUnknownOpts, InvalidArgumentError, Option } from '@commander-js/extra-typings';
import type { HeapAllocator } from '../../src/index.ts';
import { ALLOCATORS, anyNumber, exitCodes, wholeNumber } from '../command-line.ts';
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
  /** Seconds after which a worker that does nothing hangs. */
  readonly patience: number;
  readonly only: readonly ScenarioName[];
  readonly seed: number;
  readonly json: boolean;
}

const MOST_THREADS = 64;

/** The stress run as a command. */
export function stressCommand(
  name: string,
  run: (options: StressOptions) => Promise<void>,
): CommandUnknownOpts {
  return new Command(name)
    .summary('kill threads that share a heap at random, and check all of it')
    .description('Threads share one heap and are killed at random; then everything is checked.')
    .addOption(
      new Option('--threads <number>', `threads at work at a time, 1 to ${MOST_THREADS}`)
        .argParser(wholeNumber(1, MOST_THREADS))
        .default(4),
    )
    .addOption(new Option('--seconds <number>', 'how long').argParser(anyNumber(0.1, 86_400)).default(10))
    .addOption(
      new Option(
        '--kill <rate>',
        'kills a second, 0 to 100: terminated, process.exit in mid-operation, an uncaught error, and now and ' +
          'then a JavaScript heap that is full',
      )
        .argParser(anyNumber(0, 100))
        .default(5),
    )
    .addOption(
      new Option('--kills <number>', 'not to end before so many')
        .argParser(wholeNumber(0, 1_000_000))
        .default(0),
    )
    .addOption(
      new Option('--allocator <name>', 'what the heap allocates with')
        .choices(ALLOCATORS)
        .default(ALLOCATORS[0] as HeapAllocator),
    )
    .option('--no-cache', 'without thread caches')
    .addOption(
      new Option('--only <names>', `some of ${SCENARIO_NAMES.join(', ')}`)
        .argParser(scenarioNames)
        .default(undefined, 'all'),
    )
    .addOption(
      new Option('--seed <number>', 'for the same choices in each thread')
        .argParser(wholeNumber(0, 2 ** 31))
        .default(Date.now() % 2 ** 31, 'by the clock'),
    )
    .addOption(
      new Option('--patience <seconds>', 'after how long a thread that does nothing hangs')
        .argParser(anyNumber(1, 3600))
        .default(60),
    )
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', exitCodes('anything is not as it has to be, or the run hangs (with the seed)'))
    .action((options) => {
      const isBump = options.allocator === 'bump';
      // A bump allocator takes nothing back, so that everything else would only fill it.
      const only = options.only ?? (isBump ? ['blocks'] : SCENARIO_NAMES);
      return run({ ...options, only, cache: options.cache && !isBump, json: options.json ?? false });
    });
}

function scenarioNames(text: string): ScenarioName[] {
  const known = [...SCENARIO_NAMES, ...MUTANT_NAMES];
  return text.split(',').map((name) => {
    const found = known.find((each) => each === name);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`'${name}' is none of ${SCENARIO_NAMES.join(', ')}.`);
  });
}

/** What to type for the same run again. */
export function optionsAsText({ cache, json, only, ...values }: StressOptions): string {
  const { seed, ...others } = values;
  return [
    ...Object.entries(others).map(([name, value]) => `--${name} ${value}`),
    `--only ${only.join(',')}`,
    ...(cache ? [] : ['--no-cache']),
    ...(json ? ['--json'] : []),
    `--seed ${seed}`,
  ].join(' ');
}
