/**
 * SharedString: an immutable text in the heap; and the field `string`, which owns one.
 *
 *     address ▶ ┌ 'STR_' ┬ hash ┬ byte length ┬ bytes, UTF-8 ──────┐
 *               └────────┴──────┴─────────────┴────────────────────┘
 *               0        4      8             12
 *
 *     field     │ address of such a block, 0 for '' │
 *
 * The hash is that of the bytes (utf8.ts), kept from when it is asked for first; 0 says that it was not:
 * threads that work it out at once store the same. A text that another thread can see never changes: any
 * thread may read it at any time, until it is destroyed. A lone surrogate is stored as U+FFFD.
 *
 * A field is assigned by one store of the address; the text before is freed after that. Whoever reads a
 * field while another thread assigns to it needs a lock around both, as for any memory that is freed.
 */

// The declarations name Symbol.dispose: users whose `lib` has none get it from here.
/// <reference lib="esnext.disposable" preserve="true" />

import { HeapCorruptionError, hex, OutOfMemoryError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { type Dropper, registerKind } from '../structs/drop.ts';
import { type BoundField, Field, type init, show, type value } from '../structs/field.ts';
import { INSPECT, type Inspector } from '../structs/place.ts';
import type { StructStore } from '../structs/store.ts';
import { addressOfHandle, Container, checkHeader, type Handle } from './container.ts';
import { swapOwned } from './owning-cell.ts';
import { type ContainerStore, homeOf } from './store.ts';
import {
  compareBytes,
  compareText,
  decodeText,
  encodeText,
  equalsBytes,
  equalsText,
  hashBytes,
  scratchUses,
  writeScratch,
} from './utf8.ts';

// Words from the block's start.
const HASH = 1;
const BYTE_LENGTH = 2;
/** Bytes before the text. */
const TEXT = 12;
/** What an unused kind word holds: what was destroyed is told from what lives. */
const GONE = 0;

const NAME = 'SharedString';
const STRING = registerKind('STR_', dropString);

const AT_START: readonly number[] = Object.freeze([0]);

function dropString(dropper: Dropper, address: number): void {
  dropper.free(address);
}

/** What crosses to another thread, for `SharedString.open`. */
export type StringHandle = Handle<'SharedString'>;

/** An immutable text in the heap. Any thread may read it until it is destroyed; each opens its own object. */
export class SharedString extends Container {
  /** As {@link release}. Only where `Symbol.dispose` is. */
  declare readonly [Symbol.dispose]: () => void;

  protected get kind(): 'SharedString' {
    return NAME;
  }

  /**
   * Copies a text into the heap. Lone surrogates become U+FFFD.
   *
   * @throws TypeError when `text` is no string
   * @throws OutOfMemoryError when there is no room; 12 bytes and those of the text are needed
   */
  static create(store: ContainerStore, text: string): SharedString {
    if (typeof text !== 'string')
      throw new TypeError(`SharedString.create takes a string, got ${show(text)}`);
    return new SharedString(store, createBlock(store, text));
  }

  /**
   * Opens what another thread made, by its handle.
   *
   * @throws TypeError, AttachError when it is no handle of a string in this heap, or one destroyed since
   */
  static open(store: ContainerStore, handle: StringHandle): SharedString {
    return SharedString.at(store, addressOfHandle(store, handle, NAME));
  }

  /**
   * The string at `address`: `heap.roots.open('title', SharedString)` comes here.
   *
   * @throws RangeError, AttachError when none lies there
   */
  static at(store: ContainerStore, address: Address): SharedString {
    checkHeader(store, address, STRING);
    return new SharedString(store, address);
  }

  override get handle(): StringHandle {
    return super.handle as StringHandle;
  }

  /** Bytes of UTF-8: the length in characters where all are ASCII. */
  get byteLength(): number {
    return byteLengthAt(this.store, this.checked());
  }

  /** A u32 of the bytes, the same in every thread. */
  get hash(): number {
    const address = this.checked();
    const { u8, u32 } = this.store.memory;
    const known = u32[(address >>> 2) + HASH]!;
    if (known !== 0) return known;
    const hash = hashBytes(u8, address + TEXT, this.byteLength);
    u32[(address >>> 2) + HASH] = hash;
    return hash;
  }

  /** The text. */
  override toString(): string {
    return textAt(this.store, this.checked());
  }

  /** The text: what `JSON.stringify` shows. Null once released or destroyed. */
  toJSON(): string | null {
    return this.isThere ? this.toString() : null;
  }

  /** A copy of the bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    const start = this.checked() + TEXT;
    return new Uint8Array(this.store.memory.u8.subarray(start, start + this.byteLength));
  }

  /** Whether this is the text. Makes no garbage where it is ASCII. */
  equals(other: string | SharedString): boolean {
    const { u8 } = this.store.memory;
    const address = this.checked();
    const { byteLength } = this;
    if (typeof other === 'string') return equalsText(u8, address + TEXT, byteLength, other);
    if (other.byteLength !== byteLength) return false;
    return equalsBytes(u8, address + TEXT, other.store.memory.u8, other.address + TEXT, byteLength);
  }

  /**
   * Negative, 0 or positive as this text comes before the other, is the same, or comes after it: in the
   * order of code points, which is that of the bytes. JavaScript's `<` goes by code units: the two differ
   * where characters above U+FFFF meet U+E000 to U+FFFF.
   */
  compare(other: string | SharedString): number {
    const { u8 } = this.store.memory;
    const start = this.checked() + TEXT;
    const { byteLength } = this;
    if (typeof other === 'string') return compareText(u8, start, byteLength, other);
    const otherStart = other.checked() + TEXT;
    return compareBytes(u8, start, byteLength, other.store.memory.u8, otherStart, other.byteLength);
  }

  /** Frees it, for all threads. */
  destroy(): void {
    const address = this.checked();
    // Throws when it cannot be freed, before anything is changed.
    this.store.sizeOf(address);
    this.store.tryAdopt(address);
    this.release();
    freeText(this.store, address);
  }

  [INSPECT](_depth: number, options: object, inspect: Inspector): string {
    if (!this.isThere) return `${NAME} (released)`;
    return `${NAME} ${inspect(this.toString(), options)}`;
  }

  /** The address, of what is there still. */
  private checked(): Address {
    this.checkLive();
    if (!this.isThere) throw new ReferenceError(`the ${NAME} at ${hex(this.address)} was destroyed`);
    return this.address;
  }

  private get isThere(): boolean {
    return this.address !== NULL && this.store.memory.u32[this.address >>> 2] === STRING;
  }
}

if (Symbol.dispose !== undefined) {
  Object.defineProperty(SharedString.prototype, Symbol.dispose, { value: SharedString.prototype.release });
}

/** A block with the text, which belongs to this thread. */
function createBlock(store: ContainerStore, text: string): Address {
  const byteLength = encodeText(text);
  const encoded = scratchUses();
  const address = allocate(store, byteLength);
  // A handler that made room may have used the scratch.
  if (scratchUses() !== encoded) encodeText(text);
  layText(store, address, byteLength);
  writeScratch(store.memory.u8, address + TEXT, byteLength);
  return address;
}

/** A block with the text of another string. */
function copyBlock(store: ContainerStore, { store: from, address: source, byteLength }: Source): Address {
  const address = allocate(store, byteLength);
  layText(store, address, byteLength);
  const bytes = from.memory.u8.subarray(source + TEXT, source + TEXT + byteLength);
  store.memory.u8.set(bytes, address + TEXT);
  return address;
}

interface Source {
  readonly store: ContainerStore;
  readonly address: Address;
  readonly byteLength: number;
}

function allocate(store: ContainerStore, byteLength: number): Address {
  const address = store.alloc(TEXT + byteLength);
  if (address === NULL) throw new OutOfMemoryError(TEXT + byteLength, `a string of ${byteLength} bytes`);
  return address;
}

function layText({ memory: { u32 } }: ContainerStore, address: Address, byteLength: number): void {
  const word = address >>> 2;
  u32[word] = STRING;
  u32[word + HASH] = 0;
  u32[word + BYTE_LENGTH] = byteLength;
}

function byteLengthAt({ memory }: StructStore, address: number): number {
  const byteLength = memory.u32[(address >>> 2) + BYTE_LENGTH]!;
  if (byteLength > memory.byteLength - TEXT - address) {
    throw new HeapCorruptionError(address, `a string of ${byteLength} bytes cannot lie there`);
  }
  return byteLength;
}

function textAt(store: StructStore, address: number): string {
  return decodeText(store.memory.u8, address + TEXT, byteLengthAt(store, address));
}

/** The field `string`. */
export class StringField extends Field {
  declare readonly [value]: string;
  declare readonly [init]: string | SharedString;
  override readonly kind = 'string';
  override readonly size = 4;
  override readonly align = 4;

  override get owning(): readonly number[] {
    return AT_START;
  }

  override describe(): string {
    return 'string';
  }

  override bind(anywhere: StructStore, path: string): BoundField {
    const store = homeOf(anywhere as ContainerStore);
    const { u32 } = store.memory;
    const read = (address: number): string | undefined => {
      const block = u32[address >>> 2];
      if (block === 0) return '';
      if (block === undefined) return undefined;
      if (u32[block >>> 2] !== STRING) throw strayString(address, block, path);
      return textAt(store, block);
    };
    const write = (address: number, given: unknown): void => {
      // The view of a deleted struct has no cell: it writes nowhere.
      if (u32[address >>> 2] === undefined) return;
      freeText(store, swapOwned(store, address, blockOf(store, given, path)));
    };
    const take = (address: number): string | undefined => {
      const text = read(address);
      if (text !== undefined) freeText(store, swapOwned(store, address, NULL));
      return text;
    };
    return { read, write, take, json: read };
  }
}

/** A block with what was given to a field; NULL for the empty text. */
function blockOf(store: ContainerStore, given: unknown, path: string): Address {
  if (typeof given === 'string') return given === '' ? NULL : createBlock(store, given);
  if (given instanceof SharedString) {
    return given.byteLength === 0 ? NULL : copyBlock(store, given as unknown as Source);
  }
  throw new TypeError(`${path} takes a string, got ${show(given)}`);
}

/** As `dropBlock`, which is for blocks of any kind. 0 is none. */
function freeText(store: ContainerStore, address: number): void {
  const { u32 } = store.memory;
  if (address === NULL) return;
  if (u32[address >>> 2] !== STRING) throw new HeapCorruptionError(address, 'no string lies there');
  u32[address >>> 2] = GONE;
  store.free(address as Address);
}

function strayString(address: number, block: number, path: string): HeapCorruptionError {
  return new HeapCorruptionError(address, `${path} holds ${hex(block)}, where no string lies`);
}

/**
 * A field that holds a text; 4 bytes, and a block of its own for texts other than `''`. It reads as a
 * JavaScript string and takes one, or a `SharedString` to copy. The text is dropped with its struct.
 */
export const string: StringField = new StringField();
