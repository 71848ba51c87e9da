/**
 * Drop: frees what lies in the heap together with all that it owns, however deep, without recursion.
 *
 *     struct │ x │ name ●─┼─▶ block │ kind word │ layout hash │ …      owning offsets: [4]
 *                                     ▲ what an owning field holds is the address of such a block
 *
 * What has to be done for a block is told by its kind word alone, and what a struct owns by the layout
 * that the heap's registry keeps under the hash: any thread can drop what another one has made. The files
 * of the kinds (`containers/`) say here how theirs are dropped.
 *
 * The rule by which nothing is lost when a thread dies, and nothing dropped twice: a block that owns starts
 * with its kind, from before it owns to after. What it owns is SHARED, so the dead thread's LIVE blocks are
 * dropped each by itself; each cell is emptied first (`takeOut`), so dropping may be cut short and begun again.
 * A block without a kind (`heap.new`, arrays of structs) is only freed then: what it owns stays.
 *
 * What is still to be dropped waits in a list of addresses, so a chain of a million nodes needs no stack.
 * The thread that drops must be the only one that uses what it drops, as with `free`.
 */

import { HeapCorruptionError, hex } from '../errors.ts';
import type { Address } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import type { LayoutRegistry } from './registry.ts';

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

interface Kind {
  readonly name: string;
  readonly drop: DropBlock;
}

const kinds = new Map<number, Kind>();

/** A kind word: four characters that can be read in a dump of the heap. */
export function kindWord(text: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = new TextEncoder().encode(text);
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/**
 * Says how blocks of a kind are dropped.
 *
 * @param word from `kindWord`, different for each kind
 * @returns the word
 */
export function registerKind(word: number, name: string, drop: DropBlock): number {
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
   */
  run(): void {
    const { u32 } = this.store.memory;
    for (let address = this.#pending.pop(); address !== undefined; address = this.#pending.pop()) {
      const word = u32[address >>> 2]!;
      const kind = kinds.get(word);
      if (kind === undefined)
        throw new HeapCorruptionError(address, `an owned block is of ${kindName(word)}`);
      kind.drop(this, address);
    }
  }
}

/** Drops what lies at the offsets `owning` from `address`; the bytes around stay. */
export function dropOwned(store: DropStore, owning: readonly number[], address: number): void {
  if (owning.length === 0) return;
  const dropper = new Dropper(store);
  dropper.pushOwned(owning, address);
  dropper.run();
}

/** Drops the block at `address` when its kind is one that can be owned; any other is only freed. */
export function dropOrFree(store: DropStore, address: Address): void {
  if (kinds.has(store.memory.u32[address >>> 2]!)) dropBlock(store, address);
  else store.free(address);
}

/** Drops the owned block at `address`; 0 is none. */
export function dropBlock(store: DropStore, address: number): void {
  if (address === 0) return;
  const dropper = new Dropper(store);
  dropper.push(address);
  dropper.run();
}
