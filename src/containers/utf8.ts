/**
 * UTF-8: JavaScript strings in, shared bytes and hashes out, and back.
 *
 *     text ──encodeText──▶ scratch (this thread's) ──writeScratch──▶ shared bytes
 *     text ◀─────────────────decodeText──────────────────────────── shared bytes
 *
 * Short ASCII goes by `charCodeAt` and `String.fromCharCode`, the rest by the platform's encoder and
 * decoder, whose calls cost about 75 and 300 ns whatever the length (Node 20 and 24). Both see private
 * bytes alone: browsers refuse shared ones. A lone surrogate becomes U+FFFD, as `TextEncoder` has it.
 *
 * The hash is MurmurHash3's x86_32 of the bytes (Austin Appleby, public domain) with seed 0, so every
 * thread finds the same; its last steps spread every bit over the whole word, so that the low bits serve
 * as an index. It is no defence against keys that an attacker chooses.
 *
 * All functions are pure but for the scratch: what `encodeText` wrote there lasts until the next call of
 * anything in this file. Callers pass bytes that lie inside the memory; that others may write them
 * meanwhile makes results wrong, never a crash.
 */

/** Up to so many characters a loop beats the encoder. */
const SHORT_ENCODE = 24;
/** Up to so many characters hashing the text, or comparing it, beats encoding it first. */
const SHORT_SCAN = 64;
/** Up to so many bytes `String.fromCharCode` beats a copy and the decoder. */
const SHORT_DECODE = 48;
/** Up to so many bytes a loop beats the calls of `subarray` and `set`. */
const SHORT_COPY = 64;
/** A larger scratch is given up once a smaller one will do. */
const LARGEST_KEPT = 1 << 20;
/** The first byte that is no ASCII. */
const BEYOND_ASCII = 0x80;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

let scratchBytes = new Uint8Array(1024);
let uses = 0;

/** What `encodeText` wrote into last: this thread's own bytes. */
export function scratch(): Uint8Array {
  return scratchBytes;
}

/** Changes whenever something else is written into the scratch: a handler may have been at work. */
export function scratchUses(): number {
  return uses;
}

/**
 * Encodes into the scratch.
 *
 * @returns how many bytes of `scratch()` the text took
 */
export function encodeText(text: string): number {
  const { length } = text;
  if (length > SHORT_ENCODE) return encodeLong(text);
  const bytes = scratchBytes;
  uses = (uses + 1) | 0;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code >= BEYOND_ASCII) return encodeLong(text);
    bytes[index] = code;
  }
  return length;
}

function encodeLong(text: string): number {
  // A code unit takes three bytes at most.
  return encoder.encodeInto(text, scratchOf(text.length * 3)).written;
}

function scratchOf(byteLength: number): Uint8Array {
  uses = (uses + 1) | 0;
  const { length } = scratchBytes;
  const isHoard = length > LARGEST_KEPT && byteLength <= LARGEST_KEPT;
  if (length < byteLength || isHoard) scratchBytes = new Uint8Array(Math.max(1024, byteLength));
  return scratchBytes;
}

/** Copies the first `byteLength` bytes of the scratch to `start`. */
export function writeScratch(u8: Uint8Array, start: number, byteLength: number): void {
  const from = scratchBytes;
  if (byteLength > SHORT_COPY) {
    const aligned = alignScratch(start, byteLength);
    u8.set(from.subarray(aligned, aligned + byteLength), start);
    return;
  }
  for (let index = 0; index < byteLength; index++) u8[start + index] = from[index]!;
}

/**
 * Where the scratch has its bytes at the alignment of `start`: V8 copies between shared and private
 * memory word by word then, else byte by byte, which takes five times as long.
 */
function alignScratch(start: number, byteLength: number): number {
  const aligned = ((byteLength + 7) & ~7) + (start & 7);
  if ((start & 7) === 0 || aligned + byteLength > scratchBytes.length) return 0;
  scratchBytes.copyWithin(aligned, 0, byteLength);
  return aligned;
}

// ── Hash ──────────────────────────────────────────────────────────────────────────────────────────

/** The hash of the bytes from `start`: a u32. */
export function hashBytes(u8: Uint8Array, start: number, byteLength: number): number {
  const end = start + byteLength;
  const whole = end - (byteLength & 3);
  let hash = 0;
  let at = start;
  for (; at < whole; at += 4) {
    hash = mixWord(hash, u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16) | (u8[at + 3]! << 24));
  }
  let rest = 0;
  for (let shift = 0; at < end; at++, shift += 8) rest |= u8[at]! << shift;
  return finish(hash ^ mixBlock(rest), byteLength);
}

function mixWord(hash: number, word: number): number {
  const mixed = hash ^ mixBlock(word);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** What MurmurHash3 does to each block of its input before that goes into the hash. */
function mixBlock(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

function finish(hash: number, byteLength: number): number {
  let mixed = hash ^ byteLength;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

// ── Compare ───────────────────────────────────────────────────────────────────────────────────────

/** Whether the bytes from `start` are the text in UTF-8. */
export function equalsText(u8: Uint8Array, start: number, byteLength: number, text: string): boolean {
  const { length } = text;
  // No code unit takes less than a byte, or more than three.
  if (byteLength < length || byteLength > length * 3) return false;
  if (length > SHORT_SCAN) return equalsEncoded(u8, start, byteLength, text);
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code >= BEYOND_ASCII) return equalsEncoded(u8, start, byteLength, text);
    if (u8[start + index] !== code) return false;
  }
  return byteLength === length;
}

function equalsEncoded(u8: Uint8Array, start: number, byteLength: number, text: string): boolean {
  if (encodeText(text) !== byteLength) return false;
  return equalsBytes(u8, start, scratchBytes, 0, byteLength);
}

/** Whether `byteLength` bytes from `start` are those from `otherStart`. */
export function equalsBytes(
  u8: Uint8Array,
  start: number,
  other: Uint8Array,
  otherStart: number,
  byteLength: number,
): boolean {
  for (let index = 0; index < byteLength; index++) {
    if (u8[start + index] !== other[otherStart + index]) return false;
  }
  return true;
}

/**
 * The order of the bytes from `start` and a text: negative, 0 or positive. It is that of the bytes, and
 * so of code points; JavaScript's `<` goes by code units, which puts the characters above U+FFFF before
 * U+E000 to U+FFFF. For texts without such it is the same.
 */
export function compareText(u8: Uint8Array, start: number, byteLength: number, text: string): number {
  const otherLength = encodeText(text);
  return compareBytes(u8, start, byteLength, scratchBytes, 0, otherLength);
}

/** The order of two runs of bytes: negative, 0 or positive; what starts another comes before it. */
export function compareBytes(
  u8: Uint8Array,
  start: number,
  byteLength: number,
  other: Uint8Array,
  otherStart: number,
  otherLength: number,
): number {
  const shorter = byteLength < otherLength ? byteLength : otherLength;
  for (let index = 0; index < shorter; index++) {
    const difference = u8[start + index]! - other[otherStart + index]!;
    if (difference !== 0) return difference;
  }
  return byteLength - otherLength;
}

// ── Decode ────────────────────────────────────────────────────────────────────────────────────────

/** The text of the bytes from `start`; what is no UTF-8 becomes U+FFFD. */
export function decodeText(u8: Uint8Array, start: number, byteLength: number): string {
  if (byteLength > SHORT_DECODE) return decodeLong(u8, start, byteLength);
  const end = start + byteLength;
  const eights = end - (byteLength & 7);
  let text = '';
  let at = start;
  for (; at < eights; at += 8) {
    const a = u8[at]!;
    const b = u8[at + 1]!;
    const c = u8[at + 2]!;
    const d = u8[at + 3]!;
    const e = u8[at + 4]!;
    const f = u8[at + 5]!;
    const g = u8[at + 6]!;
    const h = u8[at + 7]!;
    if ((a | b | c | d | e | f | g | h) >= BEYOND_ASCII) return decodeLong(u8, start, byteLength);
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  if (end - at >= 4) {
    const a = u8[at]!;
    const b = u8[at + 1]!;
    const c = u8[at + 2]!;
    const d = u8[at + 3]!;
    if ((a | b | c | d) >= BEYOND_ASCII) return decodeLong(u8, start, byteLength);
    text += String.fromCharCode(a, b, c, d);
    at += 4;
  }
  for (; at < end; at++) {
    const code = u8[at]!;
    if (code >= BEYOND_ASCII) return decodeLong(u8, start, byteLength);
    text += String.fromCharCode(code);
  }
  return text;
}

function decodeLong(u8: Uint8Array, start: number, byteLength: number): string {
  // Aligned alike: see `alignScratch`.
  const at = start & 7;
  const copy = scratchOf(byteLength + 8);
  copy.set(u8.subarray(start, start + byteLength), at);
  return decoder.decode(copy.subarray(at, at + byteLength));
}
