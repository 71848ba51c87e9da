/**
 * Layout registry: which structs a heap holds, in its shared bytes, so that any thread can inspect or
 * drop what another one has defined. An append-only list; entries are immutable once published.
 *
 *     start                                                                   start + byteLength
 *     ┌ magic ┬ head ┬ next free ┬ end ┬ entry ┬ entry ┬ (free) ──────────────┐
 *     └───────┴──────┴───────────┴─────┴───────┴───────┴──────────────────────┘
 *             │ newest entry     │ of the area          ▲ next free
 *             ▼                  addresses, all u32
 *     ┌ next ┬ hash ┬ size ┬ align ┬ name bytes ┬ owning count ┬ owning offsets … ┬ name, UTF-8, zero-padded ┐
 *     └──────┴──────┴──────┴───────┴────────────┴──────────────┴──────────────────┴──────────────────────────┘
 *     ▲ entry, a multiple of 4; all but the name u32; 0 in `next` ends the list
 *
 * An entry is taken from the area by a CAS on `next free`, or from a block of the heap when the area is
 * full; it is filled in with plain stores and then published by ONE CAS on `head`. A thread that dies
 * before that loses a few bytes; the list is whole at every moment.
 *
 * Invariants
 * 1. `head` and every `next` are 0 or the address of an entry that lies inside the memory.
 * 2. Names are unique: whoever loses the CAS looks at the entries that came in between.
 * 3. Fewer than MAX_LAYOUTS entries: a longer walk is taken for a cycle.
 */

import { AttachError, HeapCorruptionError, hex, OutOfMemoryError } from '../errors.ts';
import { type Address, alignUp, NULL, UNIT } from '../memory/address.ts';
import { atomicLoad, atomicStore, compareExchange } from '../memory/atomics.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Binding } from './binding.ts';
import type { StructStore } from './store.ts';
import type { StructLayout } from './struct-layout.ts';

const MAGIC = 0x5f59414c; // 'LAY_'

// Words of the registry.
const HEAD = 1;
const NEXT_FREE = 2;
const END = 3;
const REGISTRY_WORDS = 4;
const REGISTRY_BYTES = REGISTRY_WORDS * 4;

// Words of an entry.
const NEXT = 0;
const HASH = 1;
const SIZE = 2;
const ALIGN = 3;
const NAME_BYTES = 4;
const OWNING_COUNT = 5;
const OWNING = 6;

/** Of a name in the registry, in bytes: a struct's, or the spelling of another field. */
const LONGEST_NAME = 2047;
/** No heap has so many: each layout is declared in source code. A longer walk is a cycle. */
const MAX_LAYOUTS = 65_535;

/** A struct's layout as any thread can read it from the shared bytes. */
export interface RegisteredLayout {
  readonly name: string;
  /** u32. */
  readonly hash: number;
  /** Bytes. */
  readonly size: number;
  /** Bytes. */
  readonly align: number;
  /** Offsets of the addresses of owned blocks, in bytes. */
  readonly owning: readonly number[];
}

/** What is registered: a struct type, or another field under the name that `schema.ts` gives it. */
export interface Registrable {
  readonly name: string;
  readonly layout: Pick<StructLayout, 'hash' | 'size' | 'align' | 'owning'>;
}

/** One thread's handle of a heap's layout registry, and of what the thread has bound to the heap. */
export class LayoutRegistry {
  /** The types in use in this heap by their ids: what hot paths look at. */
  readonly bound: (Binding | undefined)[] = [];
  /** Those, and the ones that only refs have mentioned. */
  readonly shells: Map<number, Binding> = new Map();
  /**
   * The heap that the registry belongs to: it sets this, so that entries and shared marks go to the
   * heap even when an arena of it is the first to use a type.
   */
  home: StructStore | undefined;
  readonly #found = new Map<number, RegisteredLayout>();
  readonly #memory: Memory;
  /** Index of the registry's first word. */
  readonly #base: number;

  private constructor(memory: Memory, start: number) {
    this.#memory = memory;
    this.#base = start >>> 2;
  }

  /**
   * Lays out an empty registry. No other thread may see the bytes yet.
   *
   * @param start a multiple of 8
   * @param byteLength 16 bytes and more; one entry takes 24 and the name
   * @throws RangeError when these do not lie in the memory
   */
  static create(memory: Memory, start: number, byteLength: number): LayoutRegistry {
    checkStart(memory, start);
    checkInteger('byteLength', byteLength, REGISTRY_BYTES, memory.byteLength - start);
    const { u32 } = memory;
    const base = start >>> 2;
    atomicStore(u32, base + HEAD, NULL);
    atomicStore(u32, base + NEXT_FREE, start + REGISTRY_BYTES);
    atomicStore(u32, base + END, start + byteLength - (byteLength % 4));
    atomicStore(u32, base, MAGIC);
    return new LayoutRegistry(memory, start);
  }

  /**
   * Adopts a registry that another thread created.
   *
   * @throws RangeError when `start` is no multiple of 8 in the memory
   * @throws AttachError when no registry lies there
   * @throws HeapCorruptionError when one does, but with impossible bounds
   */
  static attach(memory: Memory, start: number): LayoutRegistry {
    checkStart(memory, start);
    const { u32 } = memory;
    const base = start >>> 2;
    if (atomicLoad(u32, base) !== MAGIC) throw new AttachError(`no layout registry at ${hex(start)}`);
    const end = u32[base + END]!;
    const nextFree = atomicLoad(u32, base + NEXT_FREE);
    if (
      end > memory.byteLength ||
      nextFree > end ||
      nextFree < start + REGISTRY_BYTES ||
      nextFree % 4 !== 0
    ) {
      const bounds = `next free ${hex(nextFree)}, end ${hex(end)}`;
      throw new HeapCorruptionError(start, `the layout registry has impossible bounds: ${bounds}`);
    }
    return new LayoutRegistry(memory, start);
  }

  /**
   * Makes the type's layout known to all threads, unless it is already. Safe in all threads at once.
   *
   * @param store where an entry goes that the area has no room for, unless the registry has a home
   * @throws TypeError when the heap holds another layout of this name
   * @throws OutOfMemoryError when there is no room for the entry
   * @throws HeapCorruptionError when the list is damaged
   */
  register(type: Registrable, store: StructStore): void {
    const { u32 } = this.#memory;
    const name = new TextEncoder().encode(type.name);
    if (name.length > LONGEST_NAME) {
      throw new TypeError(
        `a field spelled with ${name.length} bytes is too long to register: give it a struct of its own`,
      );
    }
    const head = this.#base + HEAD;
    let mine: Room | undefined;
    for (;;) {
      const newest = atomicLoad(u32, head);
      if (this.#holds(type, name, newest)) break;
      mine ??= this.#writeEntry(type, name, this.home ?? store);
      u32[(mine.address >>> 2) + NEXT] = newest;
      // Publishes: the entry. Pairs with the loads of the head in `register` and `layouts`.
      if (compareExchange(u32, head, newest, mine.address) === newest) return;
    }
    if (mine !== undefined) this.#giveBack(mine, this.home ?? store);
  }

  /**
   * All layouts, the oldest first.
   *
   * @throws HeapCorruptionError when the list is damaged
   */
  layouts(): RegisteredLayout[] {
    const entries = this.#entries(atomicLoad(this.#memory.u32, this.#base + HEAD));
    return Array.from(entries, (entry) => this.#read(entry)).reverse();
  }

  /**
   * The layout with this hash, or undefined. Layouts never change: what was found once is remembered.
   *
   * @throws HeapCorruptionError when the list is damaged
   */
  find(hash: number): RegisteredLayout | undefined {
    const known = this.#found.get(hash);
    if (known !== undefined) return known;
    for (const entry of this.#entries(atomicLoad(this.#memory.u32, this.#base + HEAD))) {
      if (this.#memory.u32[(entry >>> 2) + HASH] !== hash) continue;
      const layout = this.#read(entry);
      this.#found.set(hash, layout);
      return layout;
    }
    return undefined;
  }

  /** Whether the type is registered. Throws when its name is, with another layout. */
  #holds(type: Registrable, name: Uint8Array, newest: number): boolean {
    const { u32 } = this.#memory;
    for (const entry of this.#entries(newest)) {
      if (!this.#isNamed(entry, name)) continue;
      const index = entry >>> 2;
      const { hash, size, align } = type.layout;
      if (u32[index + HASH] === hash && u32[index + SIZE] === size && u32[index + ALIGN] === align)
        return true;
      throw new TypeError(
        `the heap already holds another struct named '${type.name}': ${summary(this.#read(entry))}; ` +
          `this one has ${summary(type.layout)}. Give one of them another name`,
      );
    }
    return false;
  }

  /** The addresses of the entries, the newest first. Each is checked before it is given. */
  *#entries(newest: number): Generator<number> {
    let count = 0;
    let link = (this.#base + HEAD) * 4;
    for (let entry = newest; entry !== NULL; entry = this.#memory.u32[(entry >>> 2) + NEXT]!) {
      if (++count > MAX_LAYOUTS) throw new HeapCorruptionError(link, 'the list of layouts runs in a circle');
      this.#check(entry, link);
      yield entry;
      link = entry;
    }
  }

  #check(entry: number, link: number): void {
    const { u32, byteLength } = this.#memory;
    const tooFar = entry + OWNING * 4 > byteLength;
    if (entry % 4 !== 0 || tooFar) {
      throw new HeapCorruptionError(
        link,
        `the list of layouts leads to ${hex(entry)}, where no entry can be`,
      );
    }
    const index = entry >>> 2;
    const nameBytes = u32[index + NAME_BYTES]!;
    const owning = u32[index + OWNING_COUNT]!;
    const nameFits = nameBytes >= 1 && nameBytes <= LONGEST_NAME;
    if (!nameFits || entry + entryBytes(nameBytes, owning) > byteLength) {
      throw new HeapCorruptionError(
        entry,
        `a layout has a name of ${nameBytes} bytes and ${owning} owning fields`,
      );
    }
  }

  #isNamed(entry: number, name: Uint8Array): boolean {
    const { u32, u8 } = this.#memory;
    const index = entry >>> 2;
    if (u32[index + NAME_BYTES] !== name.length) return false;
    const start = entry + (OWNING + u32[index + OWNING_COUNT]!) * 4;
    return name.every((byte, position) => u8[start + position] === byte);
  }

  #read(entry: number): RegisteredLayout {
    const { u32, u8 } = this.#memory;
    const index = entry >>> 2;
    const owning = Array.from(u32.subarray(index + OWNING, index + OWNING + u32[index + OWNING_COUNT]!));
    const nameStart = entry + (OWNING + owning.length) * 4;
    return {
      name: decode(u8.slice(nameStart, nameStart + u32[index + NAME_BYTES]!), entry),
      hash: u32[index + HASH]!,
      size: u32[index + SIZE]!,
      align: u32[index + ALIGN]!,
      owning,
    };
  }

  /** Fills in an entry that no other thread sees yet. */
  #writeEntry(type: Registrable, name: Uint8Array, store: StructStore): Room {
    const { hash, size, align, owning } = type.layout;
    const room = this.#take(entryBytes(name.length, owning.length), type.name, store);
    const { u32, u8 } = this.#memory;
    const index = room.address >>> 2;
    u32[index + HASH] = hash;
    u32[index + SIZE] = size;
    u32[index + ALIGN] = align;
    u32[index + NAME_BYTES] = name.length;
    u32[index + OWNING_COUNT] = owning.length;
    u32.set(owning, index + OWNING);
    u8.set(name, room.address + (OWNING + owning.length) * 4);
    return room;
  }

  /** Zeroed bytes for an entry: from the area, else a block that belongs to all threads. */
  #take(byteLength: number, name: string, store: StructStore): Room {
    const { u32 } = this.#memory;
    const word = this.#base + NEXT_FREE;
    for (;;) {
      const address = atomicLoad(u32, word);
      if (address + byteLength > u32[this.#base + END]!) break;
      if (compareExchange(u32, word, address, address + byteLength) === address) {
        this.#memory.u8.fill(0, address, address + byteLength);
        return { address, byteLength, block: false };
      }
    }
    const address = store.allocZeroed(byteLength);
    if (address === NULL)
      throw new OutOfMemoryError(byteLength, `the layout of ${name} could not be registered`);
    store.tryShare(address);
    return { address, byteLength, block: true };
  }

  /** Returns an entry that lost to another thread's. In the area only if nothing was taken since. */
  #giveBack({ address, byteLength, block }: Room, store: StructStore): void {
    if (block) store.free(address as Address);
    else compareExchange(this.#memory.u32, this.#base + NEXT_FREE, address + byteLength, address);
  }
}

interface Room {
  readonly address: number;
  readonly byteLength: number;
  /** Whether it is a block of the heap. */
  readonly block: boolean;
}

function entryBytes(nameBytes: number, owning: number): number {
  return alignUp((OWNING + owning) * 4 + nameBytes, 4);
}

function checkStart(memory: Memory, start: number): void {
  checkInteger('start', start, UNIT, memory.byteLength - REGISTRY_BYTES);
  if (start % UNIT !== 0) throw new RangeError(`${hex(start)} is not aligned to ${UNIT} bytes`);
}

/** @param bytes a copy: decoders refuse shared bytes */
function decode(bytes: Uint8Array, entry: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new HeapCorruptionError(entry, 'the name of a layout is not UTF-8');
  }
}

function summary({ hash, size, align }: { hash: number; size: number; align: number }): string {
  return `layout hash ${hex(hash)}, ${size} bytes, aligned to ${align}`;
}
