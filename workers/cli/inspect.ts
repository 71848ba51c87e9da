/** `sabheap inspect FILE`: what lies in a saved heap, and what of it is lost. */

import { statSync } from 'node:fs';
import { Command, type CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import {
  type Address,
  type AllocatorStats,
  AttachError,
  contentOf,
  type Heap,
  type RegisteredLayout,
  SabheapError,
} from '../../src/index.ts';
import { loadImage } from '../../src/node/image-file.ts';
import { exitCodes, wholeNumber } from '../command-line.ts';
import { startProgress } from '../index-job/progress.ts';
import { UserError } from '../user-error.ts';
import { type UsedBlock, usedBlocks } from './reachable.ts';
import { drawColumns } from './table.ts';

/** Blocks with the same content. */
export interface Group {
  /** `struct Node`, `SharedMap of u64`; by size where the bytes do not tell. */
  readonly content: string;
  readonly blocks: number;
  /** Usable bytes. */
  readonly bytes: number;
  /** The first addresses, in order. */
  readonly addresses: readonly number[];
}

/** What a root stands for. */
export interface Root {
  readonly name: string;
  readonly address: number;
  readonly content: string;
}

/** What `--json` prints. */
export interface Inspection {
  readonly file: string;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Bytes of the heap that it was saved of. */
  readonly byteLength: number;
  readonly stats: AllocatorStats;
  readonly roots: readonly Root[];
  readonly layouts: readonly RegisteredLayout[];
  /** All blocks in use, most bytes first. */
  readonly groups: readonly Group[];
  /** Those that no root leads to, most bytes first. */
  readonly leaks: readonly Group[];
  readonly picture: string;
}

interface Options {
  readonly top: number;
  readonly json: boolean;
}

/** How many addresses of a group are told. */
const SHOWN_ADDRESSES = 8;

export function inspectCommand(): CommandUnknownOpts {
  return new Command('inspect')
    .summary('what lies in a saved heap, and what of it is lost')
    .description(
      'Shows a heap that was saved with saveImage: its counters, a picture, its roots, what lies in its blocks, ' +
        'and leaks: blocks that no root leads to, grouped by content. An image keeps no call sites; for those use ' +
        'heap.track() in the program that makes the heap. A block whose address is kept outside of the heap counts ' +
        'as lost; one that a number happens to point to does not. The file is only read.',
    )
    .argument('<file>', 'the saved heap')
    .addOption(
      new Option('--top <number>', 'how many groups to print')
        .argParser(wholeNumber(0, 1_000_000))
        .default(10),
    )
    .option('--json', 'print all of it as JSON')
    .addHelpText('after', exitCodes('the file cannot be read, or holds no sound heap'))
    .action((file, { top, json }) => printInspection(file, { top, json: json ?? false }));
}

function printInspection(file: string, options: Options): void {
  const inspection = inspect(file);
  console.log(options.json ? JSON.stringify(inspection, null, 2) : format(inspection, options.top));
}

/** @throws UserError when the file cannot be read, is no image of a heap, or the heap was damaged when it was saved */
function inspect(file: string): Inspection {
  const heap = load(file);
  return {
    file,
    bytes: statSync(file).size,
    byteLength: heap.memory.byteLength,
    stats: heap.stats(),
    ...survey(heap),
    picture: heap.describe(),
  };
}

function load(file: string): Heap {
  try {
    const heap = loadImage(file);
    heap.verify();
    return heap;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UserError(`no such file: ${file}`);
    if (error instanceof AttachError) throw new UserError(message);
    const isUsers = error instanceof SabheapError || error instanceof RangeError || code !== undefined;
    throw isUsers ? new UserError(`${file}: ${message}`) : error;
  }
}

function survey(heap: Heap): Pick<Inspection, 'roots' | 'layouts' | 'groups' | 'leaks'> {
  const progress = startProgress('following addresses', heap.stats().used);
  try {
    const blocks = usedBlocks(heap, (bytes) => progress.add(bytes));
    return {
      roots: heap.roots.names().map((name) => rootOf(heap, name)),
      layouts: heap.layouts.layouts(),
      groups: grouped(heap, blocks),
      leaks: grouped(
        heap,
        blocks.filter(({ isReached }) => !isReached),
      ),
    };
  } finally {
    progress.stop();
  }
}

function rootOf(heap: Heap, name: string): Root {
  const address = heap.roots.get(name);
  return { name, address, content: contentAt(heap, address) };
}

/** A root may stand for any address, also for one inside a block. */
function contentAt(heap: Heap, address: Address): string {
  try {
    return contentOf(heap, address) ?? `${heap.sizeOf(address)} bytes`;
  } catch (error) {
    if (error instanceof SabheapError) return 'no block starts there';
    throw error;
  }
}

function grouped(heap: Heap, blocks: readonly UsedBlock[]): Group[] {
  const groups = new Map<string, Group>();
  for (const { address, size } of blocks) {
    const content = contentOf(heap, address) ?? sizeRange(size);
    const { blocks: count, bytes, addresses } = groups.get(content) ?? { blocks: 0, bytes: 0, addresses: [] };
    const shown = addresses.length < SHOWN_ADDRESSES ? [...addresses, address] : addresses;
    groups.set(content, { content, blocks: count + 1, bytes: bytes + size, addresses: shown });
  }
  return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
}

/** Blocks that say nothing are told apart by their size, to the power of two above. */
function sizeRange(size: number): string {
  const most = 2 ** Math.max(4, Math.ceil(Math.log2(size)));
  return most === 16 ? 'up to 16 bytes' : `${count(most / 2 + 1)} to ${count(most)} bytes`;
}

// For people ---------------------------------------------------------------------------------------------

function format(inspection: Inspection, top: number): string {
  const { file, bytes, byteLength, picture, roots, layouts, groups, leaks } = inspection;
  return [
    `${file}: ${count(bytes)} bytes, of a heap of ${count(byteLength)}`,
    '',
    picture,
    ...section('Roots', ['name', 'address', 'content'], 'lrl', top, roots, (root) => [
      root.name,
      hex(root.address),
      root.content,
    ]),
    ...section('Layouts', ['name', 'size', 'align', 'owns'], 'lrrr', top, layouts, (layout) => [
      layout.name.replace(/^:/, ''),
      count(layout.size),
      count(layout.align),
      layout.owning.length === 0 ? '–' : `${layout.owning.length} at ${layout.owning.join(', ')}`,
    ]),
    ...groupSection('In use', groups, top),
    ...(leaks.length === 0 ? ['', 'Every block is reached from a root.'] : []),
    ...groupSection('Lost: no root leads to', leaks, top),
  ].join('\n');
}

function groupSection(title: string, groups: readonly Group[], top: number): string[] {
  const blocks = groups.reduce((sum, group) => sum + group.blocks, 0);
  const bytes = groups.reduce((sum, group) => sum + group.bytes, 0);
  const heading = `${title} ${count(blocks)} ${blocks === 1 ? 'block' : 'blocks'} of ${count(bytes)} bytes`;
  const head = ['content', 'blocks', 'bytes', 'first at'];
  return section(heading, head, 'lrrr', top, groups, (group) => [
    group.content,
    count(group.blocks),
    count(group.bytes),
    hex(group.addresses[0]!),
  ]);
}

function section<T>(
  title: string,
  head: readonly string[],
  aligned: string,
  top: number,
  items: readonly T[],
  row: (item: T) => string[],
): string[] {
  if (items.length === 0 || top === 0) return [];
  const rest = items.length - top;
  const table = drawColumns({ head, aligned, rows: items.slice(0, top).map(row) });
  return ['', `${title}:`, table, ...(rest > 0 ? [`  … and ${count(rest)} more: --top, --json`] : [])];
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function hex(address: number): string {
  return `0x${address.toString(16).padStart(8, '0')}`;
}
