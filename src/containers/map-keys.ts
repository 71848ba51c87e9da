/**
 * Map keys: how a key is hashed, compared with one in the shared bytes, written and read back.
 *
 *     key ── encode ──▶ hash, and the key as words: lo and hi, or the scratch that strings share
 *
 * `encode` checks the key. What it leaves behind holds until the next `encode` in this thread, which any
 * foreign code may call (a callback of the user, a handler of exhaustion): encode again after such.
 *
 * A string is hashed and compared as words of UTF-8, four characters at a time; lone surrogates become
 * U+FFFD, as TextEncoder does. Hashes are 32 bits; the mixers are H. Wells' lowbias32 and FxHash.
 */

import { alignUp } from '../memory/address.ts';
import type { Memory } from '../memory/memory.ts';
import { type Field, show } from '../structs/field.ts';
import { decodeText } from './utf8.ts';

/** The longest string key, in bytes of UTF-8. */
export const LONGEST_KEY = 65_535;
const LONGEST = LONGEST_KEY;

/** One thread's codec of a map's keys. */
export abstract class Keys {
  protected readonly i32: Int32Array;
  protected readonly seed: number;
  /** Of the key that was encoded last: its 32 bits, or the low ones of 64. */
  lo = 0;
  /** The upper 32 bits of a key of 64. */
  hi = 0;
  /** Bytes that the key adds to an entry, a multiple of 4: of a string only. */
  extraBytes = 0;

  constructor(memory: Memory, seed: number) {
    this.i32 = memory.i32;
    this.seed = seed | 0;
  }

  /**
   * Makes `key` the one that the other methods are about.
   *
   * @returns its hash, an i32
   * @throws TypeError, RangeError when it is no key of this map
   */
  abstract encode(key: unknown): number;
  /** Whether the key in the entry at `address` is the encoded one. Safe on any bytes. */
  abstract matches(address: number): boolean;
  /** Writes the encoded key to an entry. */
  abstract write(address: number): void;
  /** The key that lies at `address`: of an entry, or of a key in a slot. */
  abstract read(address: number): unknown;
  /** As `encode`, of the key that lies at `address`. */
  abstract encodeAt(address: number): number;

  /** Remembers which key is the encoded one. Returns what makes it that again. */
  keep(): () => void {
    const { lo, hi, extraBytes } = this;
    return () => {
      this.lo = lo;
      this.hi = hi;
      this.extraBytes = extraBytes;
    };
  }
}

/** The codec for a key field. `textAt` is where a string lies in its entry. */
export function keysOf(field: Field, memory: Memory, seed: number, textAt: number): Keys {
  if (field.kind === 'string') return new TextKeys(memory, seed, textAt);
  if (field.kind === 'i64' || field.kind === 'u64') return new BigKeys(memory, seed, field.kind);
  return new IntegerKeys(memory, seed, field.kind);
}

/** Whether a field can be the key of a map. */
export function isKeyField(field: Field): boolean {
  return field.kind === 'string' || field.kind === 'i64' || field.kind === 'u64' || field.kind in RANGES;
}

/** Spreads a hash over all of its bits. */
function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}

// ── Integers ──────────────────────────────────────────────────────────────────────────────────────────

const RANGES: Readonly<Record<string, readonly [min: number, max: number]>> = {
  i8: [-0x80, 0x7f],
  u8: [0, 0xff],
  i16: [-0x8000, 0x7fff],
  u16: [0, 0xffff],
  i32: [-0x80000000, 0x7fffffff],
  u32: [0, 0xffffffff],
};

class IntegerKeys extends Keys {
  readonly #kind: string;
  private readonly least: number;
  private readonly most: number;

  constructor(memory: Memory, seed: number, kind: string) {
    super(memory, seed);
    this.#kind = kind;
    [this.least, this.most] = RANGES[kind]!;
  }

  override encode(key: unknown): number {
    if (typeof key !== 'number' || !(key >= this.least && key <= this.most) || Math.floor(key) !== key) {
      throw refusedInteger(key, this.#kind, this.least, this.most);
    }
    const lo = key | 0;
    this.lo = lo;
    return mix(lo ^ this.seed);
  }

  override matches(address: number): boolean {
    return this.i32[address >>> 2] === this.lo;
  }

  override write(address: number): void {
    this.i32[address >>> 2] = this.lo;
  }

  override read(address: number): number {
    const lo = this.i32[address >>> 2]!;
    return this.least === 0 ? lo >>> 0 : lo;
  }

  override encodeAt(address: number): number {
    this.lo = this.i32[address >>> 2]!;
    return mix(this.lo ^ this.seed);
  }
}

function refusedInteger(key: unknown, kind: string, least: number, most: number): Error {
  const message = `a key of ${kind} must be an integer from ${least} to ${most}, got ${show(key)}`;
  return typeof key === 'number' ? new RangeError(message) : new TypeError(message);
}

// ── Bigints ───────────────────────────────────────────────────────────────────────────────────────────

/** Takes a bigint apart without making another. */
const parts = new BigInt64Array(1);
const unsignedParts = new BigUint64Array(parts.buffer);
const partWords = new Int32Array(parts.buffer);

class BigKeys extends Keys {
  readonly #kind: 'i64' | 'u64';
  private readonly whole: BigInt64Array | BigUint64Array;
  private readonly signed: boolean;

  constructor(memory: Memory, seed: number, kind: 'i64' | 'u64') {
    super(memory, seed);
    this.#kind = kind;
    this.signed = kind === 'i64';
    this.whole = this.signed ? memory.i64 : memory.u64;
  }

  override encode(key: unknown): number {
    if (typeof key !== 'bigint') throw refusedBigint(key, this.#kind);
    parts[0] = key;
    if ((this.signed ? parts[0] : unsignedParts[0]) !== key) throw refusedBigint(key, this.#kind);
    return this.#take();
  }

  #take(): number {
    const lo = partWords[0]!;
    const hi = partWords[1]!;
    this.lo = lo;
    this.hi = hi;
    return mix(Math.imul(mix(hi ^ this.seed), 0x9e3779b1) ^ lo);
  }

  override matches(address: number): boolean {
    const index = address >>> 2;
    return this.i32[index] === this.lo && this.i32[index + 1] === this.hi;
  }

  override write(address: number): void {
    const index = address >>> 2;
    this.i32[index] = this.lo;
    this.i32[index + 1] = this.hi;
  }

  override read(address: number): bigint {
    return this.whole[address >>> 3]!;
  }

  override encodeAt(address: number): number {
    partWords[0] = this.i32[address >>> 2]!;
    partWords[1] = this.i32[(address >>> 2) + 1]!;
    return this.#take();
  }
}

function refusedBigint(key: unknown, kind: 'i64' | 'u64'): Error {
  const range = kind === 'i64' ? '-2^63 to 2^63 - 1' : '0 to 2^64 - 1';
  const message = `a key of ${kind} must be a bigint from ${range}, got ${show(key)}`;
  return typeof key === 'bigint' ? new RangeError(message) : new TypeError(message);
}

// ── Strings ───────────────────────────────────────────────────────────────────────────────────────────

/** The encoded string, zeros up to a multiple of 4. All maps of this thread share it. */
const scratch = new Int32Array((LONGEST_KEY + 1) / 4);
const scratchBytes = new Uint8Array(scratch.buffer);
const encoder = new TextEncoder();

class TextKeys extends Keys {
  private readonly textAt: number;
  private readonly u8: Uint8Array;
  private readonly byteLimit: number;
  /** Bytes of the encoded string. */
  private length = 0;

  constructor(memory: Memory, seed: number, textAt: number) {
    super(memory, seed);
    this.textAt = textAt;
    this.u8 = memory.u8;
    this.byteLimit = memory.byteLength;
  }

  override encode(key: unknown): number {
    if (typeof key !== 'string') throw new TypeError(`a key must be a string, got ${show(key)}`);
    const length = key.length;
    if (length > LONGEST) throw tooLong(key);
    let hash = this.seed ^ length;
    let seen = 0;
    let at = 0;
    let index = 0;
    for (const whole = length & ~3; at < whole; at += 4) {
      const a = key.charCodeAt(at);
      const b = key.charCodeAt(at + 1);
      const c = key.charCodeAt(at + 2);
      const d = key.charCodeAt(at + 3);
      const word = a | (b << 8) | (c << 16) | (d << 24);
      seen |= a | b | c | d;
      scratch[index++] = word;
      hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1);
    }
    if (at < length) {
      let word = 0;
      for (let shift = 0; at < length; at++, shift += 8) {
        const a = key.charCodeAt(at);
        word |= a << shift;
        seen |= a;
      }
      scratch[index] = word;
      hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ word, 0x9e3779b1);
    }
    if (seen > 0x7f) return this.#encodeWide(key);
    this.length = length;
    this.extraBytes = (length + 3) & ~3;
    return mix(hash);
  }

  /** As `encode`, for what is not ASCII alone. */
  #encodeWide(key: string): number {
    const { read, written } = encoder.encodeInto(key, scratchBytes);
    if (read !== key.length || written > LONGEST_KEY) throw tooLong(key);
    return this.#take(written);
  }

  /** Hashes what lies in the scratch. */
  #take(length: number): number {
    const end = alignUp(length, 4);
    scratchBytes.fill(0, length, end);
    let hash = this.seed ^ length;
    for (let index = 0; index < end >>> 2; index++) {
      hash = Math.imul(((hash << 5) | (hash >>> 27)) ^ scratch[index]!, 0x9e3779b1);
    }
    this.length = length;
    this.extraBytes = end;
    return mix(hash);
  }

  override matches(address: number): boolean {
    const { i32, length } = this;
    if (i32[address >>> 2] !== length) return false;
    const first = (address + this.textAt) >>> 2;
    // Backwards: the keys of a program often begin alike.
    for (let index = (this.extraBytes >>> 2) - 1; index >= 0; index--) {
      if (i32[first + index] !== scratch[index]) return false;
    }
    return true;
  }

  override write(address: number): void {
    const { i32, length } = this;
    i32[address >>> 2] = length;
    const first = (address + this.textAt) >>> 2;
    for (let index = (this.extraBytes >>> 2) - 1; index >= 0; index--) i32[first + index] = scratch[index]!;
  }

  override read(address: number): string {
    const length = Math.min(this.i32[address >>> 2]! >>> 0, LONGEST);
    return decodeText(this.u8, address + this.textAt, length);
  }

  override encodeAt(address: number): number {
    const length = Math.min(this.i32[address >>> 2]! >>> 0, LONGEST);
    const start = Math.min(address + this.textAt, this.byteLimit - length);
    scratchBytes.set(this.u8.subarray(start, start + length));
    return this.#take(length);
  }

  override keep(): () => void {
    const restore = super.keep();
    const { length } = this;
    const words = scratch.slice(0, this.extraBytes >>> 2);
    return () => {
      restore();
      this.length = length;
      scratch.set(words);
    };
  }
}

function tooLong(key: string): RangeError {
  return new RangeError(
    `a key must have at most ${LONGEST_KEY} bytes of UTF-8, got ${key.length} characters: ${show(key)}`,
  );
}
