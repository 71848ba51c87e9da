/** The checksum against known values, and against zlib's. */

import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checksumOf } from '../../src/memory/checksum.ts';

test.each([
  ['', 0],
  ['a', 0xe8b7be43],
  ['123456789', 0xcbf43926],
  ['The quick brown fox jumps over the lazy dog', 0x414fa339],
])('%j', (text, expected) => {
  expect(checksumOf(new TextEncoder().encode(text))).toBe(expected);
});

test('of bytes at any offset, of a Buffer, in shared memory, in pieces: as zlib (fast-check)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(9), fc.nat(), (bytes, offset, cut) => {
      const expected = zlib.crc32(bytes);
      const shared = new Uint8Array(new SharedArrayBuffer(offset + bytes.length), offset);
      shared.set(bytes);
      expect(checksumOf(shared)).toBe(expected);
      const buffer = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset);
      expect(checksumOf(buffer)).toBe(expected);
      const at = cut % (bytes.length + 1);
      expect(checksumOf(shared.subarray(at), checksumOf(shared.subarray(0, at)))).toBe(expected);
    }),
  );
});
