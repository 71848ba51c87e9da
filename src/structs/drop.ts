/**
 * Drop: frees what lies in the heap together with all that it owns, however deep, without recursion.
 *
 *     struct │ x │ name ●─┼─▶ block │ kind word │ layout hash │ …      owning offsets: [4]
 *                                     ▲ what an owning field holds is the address of such a block
 *
 * What has to be done for a block is told by its kind word alone, and what a struct owns by the layout
 * that the heap's registry keeps under the hash: any thread can drop what another one has made. The files
 * of the kinds (`containers/`) say here how theirs are dropped. A bundle has those files that its program uses:
 * a block of another kind stays, whole, for a thread that can drop it.
 *
 * The rule by which nothing is lost when a thread dies, and nothing dropped twice: a block that owns starts
 * with its kind, from before it owns to after. What it owns is SHARED, so the dead thread's LIVE blocks are
 * dropped each by itself; each cell is emptied first (`takeOut`), so dropping may be cut short and begun again.
 * What `heap.new` and `Type.array` make has a tail in the place of a kind, at the end of its block:
 *
 *     │ struct │ room                                 │ 'TL' 16 · 0 8 · block generation 8 │ hash xor address │
 *     │ array  │ room │ cells │ count of them │ length │ 'TL' 16 · 1 8 · block generation 8 │ hash xor address │
 *
 * `cells` are the owning words of an array: where the first one lies and the bytes from one to the next.
 *
 * What is still to be dropped waits in a list of addresses, so a chain of a million nodes needs no stack.
 * The thread that drops must be the only one that uses what it drops, as with `free`.
 */

import { HeapCorruptionError, hex, UnknownKindError } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { LayoutRegistry, RegisteredLayout } from './registry.ts';

/** Bytes of the two words that a block starts with which something can own. */
export const OWNED_HEADER_BYTES = 8;

/** Where owned blocks lie. */
export interface DropStore {
  readonly memory: Memory;
  readonly layouts: LayoutRegistry;
  free(address: Address): void;
  /** See `StructStore`. */
  takeOut(cell: number, flags?: number, after?: number): Address;
}

/** Frees a block of one kind; what it owns goes to `dropper.push`. */
export type DropBlock = (dropper: Dropper, address: number) => void;

/** A block that stays, with all that it owns: the thread that was to drop it has no code for its kind. */
export interface UnknownBlock {
  readonly address: Address;
  /** Of what kind it is: `'SharedMap'`. */
  readonly kind: string;
}

interface Kind {
  readonly name: string;
  /** Undefined where the file is missing that says it. */
  readonly drop: DropBlock | undefined;
}

/** Every kind by its word: as names alone, since a bundle need not have the file of each. */
const NAMES = {
  ARCX: 'ended Arc target',
  ARC_: 'Arc target',
  AREF: 'Arc',
  AWEK: 'Weak',
  BARR: 'Barrier',
  BOX_: 'Box',
  CHAN: 'Channel',
  COND: 'Condition',
  ENT4: 'an entry of a SharedMap',
  ENT8: 'an entry of a SharedMap',
  MAP_: 'SharedMap',
  MUTX: 'Mutex',
  ONCE: 'Once',
  RC__: 'Rc',
  RWLK: 'RwLock',
  SEMA: 'Semaphore',
  SET_: 'SharedSet',
  SPSC: 'SpscRing',
  STGD: 'a staged element',
  STR_: 'SharedString',
  VEC_: 'SharedVec',
} as const;

/** Four characters that can be read in a dump of the heap. */
export type KindText = keyof typeof NAMES;

const kinds = new Map<number, Kind>();
for (const [text, name] of Object.entries(NAMES)) kinds.set(kindWord(text), { name, drop: undefined });
/** The kind whose second word is no layout hash. */
const STRING = kindWord('STR_' satisfies KindText);

function kindWord(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = new TextEncoder().encode(text);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/**
 * Says how blocks of a kind are dropped.
 *
 * @param name of a kind that is not the library's own
 * @returns the kind word
 */
export function registerKind(text: KindText, drop: DropBlock): number;
export function registerKind(text: string, drop: DropBlock, name: string): number;
export function registerKind(text: string, drop: DropBlock, given?: string): number {
  const word = kindWord(text);
  const name = given ?? kindName(word);
  kinds.set(word, { name, drop });
  return word;
}

/** The name of a kind, for messages. */
export function kindName(word: number): string {
  return kinds.get(word)?.name ?? `no known kind (${hex(word)})`;
}

/** One act of dropping. */
export class Dropper {
  readonly store: DropStore;
  readonly #pending: number[] = [];

  constructor(store: DropStore) {
    this.store = store;
  }

  /** Has the owned block at `address` dropped; 0 is none. */
  push(address: number): void {
    if (address !== 0) this.#pending.push(address);
  }

  /** Has dropped what lies at the offsets `owning` from `address`. The addresses there become 0. */
  pushOwned(owning: readonly number[], address: number): void {
    for (const offset of owning) {
      this.push(this.store.takeOut(address + offset));
    }
  }

  /** What a struct or field with this layout hash owns: offsets. Empty for what owns nothing. */
  owningOf(hash: number): readonly number[] {
    return this.store.layouts.find(hash)?.owning ?? [];
  }

  /** Frees a block. It is of no kind any more, so that nobody takes it for one before it is written to. */
  free(address: number): void {
    this.store.memory.u32[address >>> 2] = 0;
    this.store.free(address as Address);
  }

  /**
   * Drops all that was pushed, and what that owns.
   *
   * @throws HeapCorruptionError when an owning field led to something that is no owned block
   * @throws UnknownKindError when one is of a kind that this thread has no code for, after all others
   */
  run(): void {
    const [first] = this.runKnown();
    if (first !== undefined) throw new UnknownKindError(first.address, first.kind);
  }

  /** As {@link run}. Returns the blocks of unknown kinds: they are this thread's now, and in no cell. */
  runKnown(): UnknownBlock[] {
    const { u32 } = this.store.memory;
    const unknown: UnknownBlock[] = [];
    for (let address = this.#pending.pop(); address !== undefined; address = this.#pending.pop()) {
      const word = u32[address >>> 2]!;
      const kind = kinds.get(word);
      if (kind === undefined)
        throw new HeapCorruptionError(address, `an owned block is of ${kindName(word)}`);
      if (kind.drop === undefined) unknown.push({ address: address as Address, kind: kind.name });
      else kind.drop(this, address);
    }
    return unknown;
  }
}

/** Drops what lies at the offsets `owning` from `address`; the bytes around stay. */
export function dropOwned(store: DropStore, owning: readonly number[], address: number): void {
  if (owning.length === 0) return;
  const dropper = new Dropper(store);
  dropper.pushOwned(owning, address);
  dropper.run();
}

/** Where blocks lie that are to be told by what is in them. */
export interface ReclaimStore extends DropStore {
  sizeOf(address: Address): number;
  generationOf(address: Address): number;
  tryAdopt(address: Address): boolean;
}

/** Bytes of a tail. */
export const TAIL_BYTES = 8;
const TAIL = kindWord('\0\0TL');
const OF_ARRAY = 1 << 8;
/** Words from a block's end to where an array's cells end. */
const ARRAY_WORDS = TAIL_BYTES / 4 + 2;

/** The owning words of an array: `length` of each cell, every one `stride` bytes after the one before. */
export interface ArrayCells {
  readonly length: number;
  readonly cells: readonly { readonly offset: number; readonly stride: number }[];
}

/** Bytes of an array's tail. */
export function arrayTailBytes({ cells }: ArrayCells): number {
  return (ARRAY_WORDS + 2 * cells.length) * 4;
}

/** Notes at a block's end which struct lies in it, or an array of it; hash 0 says that none does any more. */
export function layTail(store: ReclaimStore, address: Address, hash: number, array?: ArrayCells): void {
  const { u32 } = store.memory;
  const end = (address + store.sizeOf(address)) >>> 2;
  if (array !== undefined) {
    const words = array.cells.flatMap(({ offset, stride }) => [offset, stride]);
    u32.set([...words, array.cells.length, array.length], end - arrayTailBytes(array) / 4);
  }
  u32[end - 1] = hash ^ address;
  u32[end - 2] = TAIL | (array === undefined ? 0 : OF_ARRAY) | store.generationOf(address);
}

/** What `layTail` noted of an array, if it lies in the block. */
function arrayAt(u32: Uint32Array, address: Address, end: number): ArrayCells | undefined {
  const [count, length] = [u32[end - ARRAY_WORDS]!, u32[end - ARRAY_WORDS + 1]!];
  const first = end - ARRAY_WORDS - 2 * count;
  if (first < address >>> 2) return undefined;
  const cells = Array.from({ length: count }, (_, i) => ({
    offset: u32[first + 2 * i]!,
    stride: u32[first + 2 * i + 1]!,
  }));
  const room = first * 4 - address;
  const fits = cells.every(({ offset, stride }) => offset + (length - 1) * stride + 4 <= room);
  return length === 0 || fits ? { length, cells } : undefined;
}

/** Drops what a struct owns before its block is freed, and its tail. Throws first when `address` is no block. */
export function dropTailed(store: ReclaimStore, owning: readonly number[], address: Address): void {
  if (owning.length === 0) return;
  const size = store.sizeOf(address);
  dropOwned(store, owning, address);
  clearTail(store, address, size);
}

/** What lies in the block is no struct any more. */
function clearTail({ memory: { u32 } }: DropStore, address: Address, size: number): void {
  const end = (address + size) >>> 2;
  if (u32[end - 2]! >>> 8 === TAIL >>> 8) u32[end - 2] = 0;
}

/**
 * Drops a block with what it owns, where kind or tail tell what that is; any other is only freed. For what
 * `heap.reap` lists: blocks that are nobody's, or of which another thread had no code. Bytes of the
 * user pass for a kind only with one of two dozen words in front and a registered hash behind it, or for a tail
 * with 64 bits that are right for the block's address and generation. No other thread may use what is dropped.
 *
 * @returns the blocks that stay, with all that they own, as this thread's: a bundle has no code for containers
 *   that its program does not use. All others were dropped
 * @throws InvalidFreeError when `address` is no live block
 * @throws HeapCorruptionError when it leads to what is no block, or was overwritten
 */
export function dropOrFree(store: ReclaimStore, address: Address): UnknownBlock[] {
  const size = store.sizeOf(address);
  // Should this thread die at it, whoever reaps it goes on.
  store.tryAdopt(address);
  const dropper = new Dropper(store);
  const content = tailed(store, address, size);
  if (content === undefined && isOfKind(store, address, size)) {
    dropper.push(address);
    return dropper.runKnown();
  }
  if (content?.array !== undefined) pushCells(dropper, address, content.array);
  else if (content !== undefined) dropper.pushOwned(content.struct.owning, address);
  const unknown = dropper.runKnown();
  if (content !== undefined) clearTail(store, address, size);
  store.free(address);
  return unknown;
}

/** Drops what the elements of an array own, before its block is freed. */
export function dropArray(store: DropStore, address: number, array: ArrayCells): void {
  const dropper = new Dropper(store);
  pushCells(dropper, address, array);
  dropper.run();
}

function pushCells(dropper: Dropper, address: number, { length, cells }: ArrayCells): void {
  for (const { offset, stride } of cells) {
    for (let i = 0; i < length; i++) dropper.push(dropper.store.takeOut(address + offset + i * stride));
  }
}

/**
 * What lies in a block, as far as its bytes tell: `struct Node`, `array of 5 Node`, `SharedMap of u64`, `Channel of Job`; undefined
 * for bytes that say nothing, such as a struct that owns nothing. For people and reports; bytes of the user may be
 * mistaken as `dropOrFree` says. Safe in all threads.
 *
 * @throws InvalidFreeError when `address` is no live block
 */
export function contentOf(store: ReclaimStore, address: Address): string | undefined {
  const { u32 } = store.memory;
  const size = store.sizeOf(address);
  const content = tailed(store, address, size);
  if (content?.array !== undefined) return `array of ${content.array.length} ${content.struct.name}`;
  if (content !== undefined) return `struct ${content.struct.name}`;
  if (!isOfKind(store, address, size)) return undefined;
  const word = u32[address >>> 2]!;
  const kind = kinds.get(word)!;
  const of = word === STRING ? undefined : store.layouts.find(u32[(address >>> 2) + 1]!);
  // Fields that are no structs are registered as ':string', ':vec(u32)'.
  return of === undefined ? kind.name : `${kind.name} of ${of.name.replace(/^:/, '')}`;
}

/** What a block's tail names: a struct, or an array of it. */
function tailed(store: ReclaimStore, address: Address, size: number): Tailed | undefined {
  const { u32 } = store.memory;
  const end = (address + size) >>> 2;
  const tail = (TAIL | store.generationOf(address)) >>> 0;
  const isArray = u32[end - 2] === (tail | OF_ARRAY);
  if (size <= TAIL_BYTES || (!isArray && u32[end - 2] !== tail)) return undefined;
  const struct = store.layouts.find((u32[end - 1]! ^ address) >>> 0);
  const array = isArray ? arrayAt(u32, address, end) : undefined;
  const fits = isArray ? array !== undefined : struct !== undefined && struct.size + TAIL_BYTES <= size;
  return struct !== undefined && fits ? { struct, array } : undefined;
}

interface Tailed {
  readonly struct: RegisteredLayout;
  readonly array: ArrayCells | undefined;
}

/** Whether a block starts with a kind and what can stand behind it. */
function isOfKind({ memory: { u32 }, layouts }: DropStore, address: number, size: number): boolean {
  const word = u32[address >>> 2]!;
  if (!kinds.has(word) || size < OWNED_HEADER_BYTES) return false;
  const hash = u32[(address >>> 2) + 1]!;
  return word === STRING || hash === 0 || layouts.find(hash) !== undefined;
}

/** Drops the owned block at `address`; 0 is none. */
export function dropBlock(store: DropStore, address: number): void {
  if (address === 0) return;
  const dropper = new Dropper(store);
  dropper.push(address);
  dropper.run();
}
