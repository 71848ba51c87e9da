/** UTF-8 against the platform's own encoder and decoder, over any strings, lone surrogates included. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  compareBytes,
  compareText,
  decodeText,
  encodeText,
  equalsBytes,
  equalsText,
  hashBytes,
  scratch,
  writeScratch,
} from '../../src/containers/utf8.ts';

const encoder = new TextEncoder();
const shared = new Uint8Array(new SharedArrayBuffer(1 << 16));
const START = 24;

/** Every length around the limits of the short paths, in ASCII and beyond, and any code units at all. */
const texts = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 140 }),
  fc.string({ unit: 'binary', maxLength: 140 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 100 }).map((u) => String.fromCharCode(...u)),
  fc
    .tuple(fc.string({ unit: 'binary-ascii', maxLength: 70 }), fc.integer({ min: 0x80, max: 0xffff }))
    .map(([head, code]) => head + String.fromCharCode(code)),
  fc.string({ unit: 'binary', minLength: 2000, maxLength: 3000 }),
);

/** Writes a text into shared bytes; gives how many. */
function store(text: string, start = START): number {
  const byteLength = encodeText(text);
  writeScratch(shared, start, byteLength);
  return byteLength;
}

function wellFormed(text: string): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(encoder.encode(text));
}

/** The hash of a text's bytes, in memory of its own. */
function hashText(text: string): number {
  const bytes = encoder.encode(text);
  return hashBytes(bytes, 0, bytes.length);
}

describe('any text', () => {
  test('is encoded as TextEncoder does', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const byteLength = encodeText(text);
        expect(scratch().slice(0, byteLength)).toEqual(encoder.encode(text));
      }),
    );
  });

  test('comes back, with U+FFFD for lone surrogates', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const byteLength = store(text);
        expect(decodeText(shared, START, byteLength)).toBe(wellFormed(text));
      }),
    );
  });

  test('has the same hash wherever it lies', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const byteLength = store(text);
        const hash = hashText(text);
        expect(hashBytes(shared, START, byteLength)).toBe(hash);
        expect(hash >>> 0).toBe(hash);
      }),
    );
  });

  test('equals its own bytes and no others', () => {
    fc.assert(
      fc.property(texts, texts, fc.nat(), (text, other, position) => {
        const byteLength = store(text);
        expect(equalsText(shared, START, byteLength, text)).toBe(true);
        expect(equalsText(shared, START, byteLength, other)).toBe(wellFormed(text) === wellFormed(other));
        expect(equalsText(shared, START, byteLength, `${text}x`)).toBe(false);
        expect(equalsText(shared, START, byteLength + 1, text)).toBe(false);
        if (byteLength === 0) return;
        expect(equalsText(shared, START, byteLength - 1, text)).toBe(false);
        shared[START + (position % byteLength)]! ^= 1;
        expect(equalsText(shared, START, byteLength, text)).toBe(false);
      }),
    );
  });

  test('is ordered by code points', () => {
    fc.assert(
      fc.property(texts, texts, (text, other) => {
        const byteLength = store(text);
        const wanted = Math.sign(Buffer.compare(encoder.encode(text), encoder.encode(other)));
        expect(Math.sign(compareText(shared, START, byteLength, other))).toBe(wanted);
        const otherStart = START + byteLength;
        const otherLength = store(other, otherStart);
        const order = compareBytes(shared, START, byteLength, shared, otherStart, otherLength);
        expect(Math.sign(order)).toBe(wanted);
        if (byteLength === otherLength) {
          expect(equalsBytes(shared, START, shared, otherStart, byteLength)).toBe(wanted === 0);
        }
      }),
    );
  });
});

test('the order differs from that of code units above U+FFFF alone', () => {
  const byteLength = store('\u{1f600}');
  expect('\u{1f600}' < '\uffff').toBe(true);
  expect(compareText(shared, START, byteLength, '\uffff')).toBeGreaterThan(0);
});

test('a byte order mark is a character like others', () => {
  const text = '\ufefftext';
  expect(decodeText(shared, START, store(text))).toBe(text);
  const long = '\ufeff'.padEnd(100, 'x');
  expect(decodeText(shared, START, store(long))).toBe(long);
});

test('bytes that are no UTF-8 become U+FFFD', () => {
  shared.set([0x61, 0xff, 0x62, 0xc3], START);
  expect(decodeText(shared, START, 4)).toBe('a\ufffdb\ufffd');
});

describe('hash', () => {
  test('is MurmurHash3 x86_32 with seed 0', () => {
    expect(hashText('')).toBe(0);
    expect(hashText('hello')).toBe(0x248bfa47);
    expect(hashText('hello, world')).toBe(0x149bbb7f);
    expect(hashText('The quick brown fox jumps over the lazy dog')).toBe(0x2e4ff723);
  });

  test('spreads similar keys over a power of two', () => {
    const slots = new Uint32Array(1024);
    const keys = 64 * slots.length;
    for (let key = 0; key < keys; key++) slots[hashText(`user:${key}`) & (slots.length - 1)]!++;
    // Poisson with mean 64: a slot beyond 64 ± 6 standard deviations is a sign of a pattern.
    expect(Math.max(...slots)).toBeLessThan(64 + 6 * 8);
    expect(Math.min(...slots)).toBeGreaterThan(64 - 6 * 8);
  });
});

test('a very long text does not leave its scratch behind', () => {
  const long = 'x'.repeat(1_000_000);
  expect(encodeText(long)).toBe(long.length);
  expect(scratch().length).toBeGreaterThanOrEqual(3_000_000);
  encodeText('x'.repeat(100));
  expect(scratch().length).toBeLessThanOrEqual(1 << 20);
});
