/**
 * Blocks: allocated, grown, exchanged and freed, each with its stamp in every word.
 *
 *      ┌ size u32 ┬ stamp u32 ┬ stamp ┬ … ┐      stamp: size xor address
 *      └──────────┴───────────┴───────┴───┘
 *
 * Who takes a block out of the exchange has it in no hands that the heap knows: it is SHARED. A worker that
 * dies then, or before it puts one in, leaves it behind: two for each death, whole and stamped.
 */

import { type Address, atomic, type Heap, NULL, struct, u32 } from '../../../src/index.ts';
import { expect, type Hand, type Part, type Scenario } from '../scenario.ts';

const Cell = struct('ExchangeCell', { block: atomic(u32) });

const CELLS = 1024;
const KEPT = 1000;
const LEAST_BYTES = 8;

export interface BlocksHandle {
  readonly cells: ReturnType<typeof Cell.array>['handle'];
}

function join(hand: Hand, { cells: handle }: BlocksHandle): Part {
  const { heap, random } = hand;
  const cells = Cell.arrayAt(heap, handle);
  const cell = cells.at(0);
  const kept: Address[] = [];

  function add(): void {
    const address = allocStamped(heap, randomSize(random));
    if (address !== NULL) kept.push(address);
  }

  function takeKept(): Address {
    const index = random(kept.length);
    const address = kept[index]!;
    kept[index] = kept.at(-1)!;
    kept.pop();
    return address;
  }

  function exchange(): void {
    const mine = takeKept();
    heap.share(mine);
    cells.at(random(cells.length), cell);
    // Publishes: the exchange hands the block, content and all, to whoever takes it out.
    freeStamped(heap, cell.block.exchange(mine));
  }

  return {
    step() {
      const kind = random(16);
      if (kind < 8 && kept.length < KEPT) add();
      else if (kept.length === 0) return;
      else if (kind < 11) exchange();
      else if (kind < 12) kept.push(reallocStamped(heap, takeKept(), randomSize(random)));
      else freeStamped(heap, takeKept());
    },
    leave() {
      for (const address of kept) freeStamped(heap, address);
    },
  };
}

/** Mostly small, sometimes larger, rarely large. In bytes. */
function randomSize(random: (limit: number) => number): number {
  const kind = random(100);
  return LEAST_BYTES + 4 * random(kind < 90 ? 64 : kind < 99 ? 2048 : 32_768);
}

function allocStamped(heap: Heap, size: number): Address {
  const address = heap.alloc(size);
  if (address !== NULL) stamp(heap, address, size);
  return address;
}

/** Keeps the block as it is when there is no room. */
function reallocStamped(heap: Heap, address: Address, size: number): Address {
  const before = checkStamped(heap, address);
  const moved = heap.realloc(address, size);
  if (moved === NULL) return address;
  const { u32: words } = heap.memory;
  for (let i = 1; i < Math.min(before, size) / 4; i++) {
    expect(
      words[moved / 4 + i] === (before ^ address) >>> 0,
      () => `a moved block lost word ${i} at ${moved}`,
    );
  }
  stamp(heap, moved, size);
  return moved;
}

function stamp(heap: Heap, address: Address, size: number): void {
  const { u32: words } = heap.memory;
  words[address / 4] = size;
  for (let i = size / 4 - 1; i > 0; i--) words[address / 4 + i] = (size ^ address) >>> 0;
}

/** Checks every word. Returns the size in bytes. */
function checkStamped(heap: Heap, address: Address): number {
  const { u32: words } = heap.memory;
  const size = words[address / 4]!;
  expect(size >= LEAST_BYTES && size <= heap.sizeOf(address), () => {
    return `the block at ${address} was overwritten: it says that its size is ${size}`;
  });
  for (let i = size / 4 - 1; i > 0; i--) {
    expect(words[address / 4 + i] === (size ^ address) >>> 0, () => {
      return `the block at ${address} was overwritten in word ${i} of ${size / 4}: ${words[address / 4 + i]}`;
    });
  }
  return size;
}

/** `NULL` is nothing. */
function freeStamped(heap: Heap, address: number): void {
  if (address === NULL) return;
  checkStamped(heap, address as Address);
  heap.free(address as Address);
}

/**
 * Frees the blocks that the dead left between two hands, when nothing else is left in the heap.
 *
 * @returns how many there were
 */
export function freeLeftBehind(heap: Heap, deaths: number): number {
  const left = [...heap.blocks()].filter(({ state }) => LEFT.has(state));
  for (const { address, state, size } of left) {
    const word = heap.memory.u32[address / 4]!;
    const other = heap.memory.u32[address / 4 + 1]!;
    expect(state === 'shared' && other === (word ^ address) >>> 0, () => {
      return `a block of ${size} bytes was lost at ${address}: ${state}, ${word.toString(16)} ${other.toString(16)}`;
    });
    freeStamped(heap, address);
  }
  expect(left.length <= 2 * deaths, () => `${deaths} deaths have left ${left.length} blocks behind`);
  return left.length;
}

const LEFT = new Set(['live', 'flight', 'shared', 'orphan', 'quarantine']);

export const blocks: Scenario<BlocksHandle> = {
  create: (heap) => {
    const { address, handle } = Cell.array(heap, CELLS);
    heap.share(address);
    return { cells: handle };
  },
  join,
  finish: (heap, { cells: handle }) => {
    const cells = Cell.arrayAt(heap, handle);
    for (let i = 0; i < CELLS; i++) freeStamped(heap, cells.at(i).block.exchange(NULL));
    cells.free();
  },
};
