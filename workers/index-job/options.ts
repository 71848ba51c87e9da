/** The command line: what the job can be told, and what it says to --help. */

import { availableParallelism } from 'node:os';
import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { type HeapAllocator, MiB } from '../../src/index.ts';
import { ALLOCATORS, byteSize, exitCodes, wholeNumber } from '../command-line.ts';

/** What the job was told. */
export interface JobOptions {
  /** Files and folders; none for the installed dependencies. */
  readonly paths: readonly string[];
  readonly threads: number;
  readonly allocator: HeapAllocator;
  /** Size of the heap. */
  readonly bytes: number;
  /** How many of the most frequent words to print. */
  readonly top: number;
  readonly json: boolean;
}

/** A heap has up to 255 thread slots, and the main thread takes one. */
const MOST_THREADS = 254;
const DEFAULT_THREADS = Math.min(Math.max(availableParallelism(), 2), 16);

/**
 * The job as a command.
 *
 * @param byDefault what is indexed when no path is given, for --help
 */
export function jobCommand(
  name: string,
  byDefault: string,
  run: (options: JobOptions) => Promise<void>,
): CommandUnknownOpts {
  return new Command(name)
    .summary('index the words of files with many threads in one shared heap')
    .description(
      'Builds one word index with many threads in one shared heap, checks it against a plain Map, and shows how ' +
        'long that took beside other ways. A word is a run of up to 64 letters and digits of any script, in lower case.',
    )
    .argument(
      '[paths...]',
      'files and folders to index: every text file in them; what is hidden and node_modules are left out, ' +
        `unless named (default: ${byDefault})`,
    )
    .addOption(
      new Option('--threads <number>', `threads that index, 1 to ${MOST_THREADS}`)
        .argParser(wholeNumber(1, MOST_THREADS))
        .default(DEFAULT_THREADS),
    )
    .addOption(
      new Option('--allocator <name>', 'what the heap allocates with')
        .choices(ALLOCATORS)
        .default(ALLOCATORS[0] as HeapAllocator),
    )
    .addOption(
      new Option('--bytes <size>', 'size of the heap, such as 64MiB or 1GiB')
        .argParser(byteSize)
        .default(256 * MiB, '256MiB'),
    )
    .addOption(
      new Option('--top <number>', 'how many of the most frequent words to print')
        .argParser(wholeNumber(0, 1_000_000))
        .default(10),
    )
    .option('--json', 'print the result as JSON')
    .addHelpText('after', exitCodes('a check fails, a path does not exist or the heap is too small'))
    .action((paths, options) => run({ ...options, paths, json: options.json ?? false }));
}
