/** The command line: what the job can be told, and what it says to --help. */

import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { GiB, type HeapAllocator, KiB, MiB } from '../../src/index.ts';
import { JobError } from './job-error.ts';

/** What the job was told. */
export interface JobOptions {
  readonly paths: readonly string[];
  readonly threads: number;
  readonly allocator: HeapAllocator;
  /** Size of the heap. */
  readonly bytes: number;
  /** How many of the most frequent words to print. */
  readonly top: number;
  readonly json: boolean;
}

const ALLOCATORS: readonly HeapAllocator[] = ['tlsf', 'buddy', 'linked-list', 'bump'];
/** A heap has up to 255 thread slots, and the main thread takes one. */
const MOST_THREADS = 254;
const DEFAULT_THREADS = Math.min(Math.max(availableParallelism(), 2), 16);

export const HELP = `Builds one word index with many threads in one shared heap, and checks it.

npm start -- [options] [paths…]

  paths                 files and folders to index: every text file in them, hidden ones left out.
                        Default: the .md, .ts, .js and .json files of the installed dependencies
  --threads <number>    threads that index, 1 to ${MOST_THREADS} (default ${DEFAULT_THREADS} here)
  --allocator <name>    ${ALLOCATORS.join(', ')} (default ${ALLOCATORS[0]})
  --bytes <size>        size of the heap, such as 64MiB or 1GiB (default 256MiB)
  --top <number>        how many of the most frequent words to print (default 10)
  --json                print the result as JSON
  --help                print this

A word is a run of letters and digits of any script, in lower case, of up to 64 characters.
Ends with 1 when a check fails, a path does not exist or the heap is too small.`;

/**
 * Reads the command line. Undefined when it asks for help.
 *
 * @throws JobError when it asks for what cannot be
 */
export function readOptions(args: readonly string[]): JobOptions | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  return {
    paths: positionals,
    threads: integer('threads', values.threads ?? String(DEFAULT_THREADS), 1, MOST_THREADS),
    allocator: allocator(values.allocator ?? ALLOCATORS[0]!),
    bytes: size(values.bytes ?? '256MiB'),
    top: integer('top', values.top ?? '10', 0, 1_000_000),
    json: values.json ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        threads: { type: 'string' },
        allocator: { type: 'string' },
        bytes: { type: 'string' },
        top: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new JobError((error as Error).message.split('. ')[0]);
  }
}

function integer(name: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new JobError(`--${name} takes a whole number from ${least} to ${most}, got '${text}'`);
}

function allocator(name: string): HeapAllocator {
  const known = ALLOCATORS.find((allocator) => allocator === name);
  if (known !== undefined) return known;
  throw new JobError(`--allocator takes one of ${ALLOCATORS.join(', ')}, got '${name}'`);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: KiB, m: MiB, g: GiB };

function size(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(?:([kmg])i?)?b?$/i.exec(text) ?? [];
  const bytes = digits === '' ? Number.NaN : Math.round(Number(digits) * UNITS[unit.toLowerCase()]!);
  if (bytes <= 4 * GiB) return bytes;
  throw new JobError(`--bytes takes a size up to 4GiB, such as 64MiB, got '${text}'`);
}
