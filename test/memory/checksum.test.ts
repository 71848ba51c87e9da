/** XXH32 against the values that its author publishes. */

import { expect, test } from 'vitest';
import { checksumOf } from '../../src/memory/checksum.ts';

const SEED = 2654435761;

/** The bytes of the reference implementation's sanity check. */
function sanityBytes(length: number): Uint8Array {
  let state = SEED;
  return Uint8Array.from({ length }, () => {
    const byte = state >>> 24;
    state = Math.imul(state, state) >>> 0;
    return byte;
  });
}

test.each([
  [0, 0x02cc5d05, 0x36b78ae7],
  [1, 0xb85cbee5, 0xd5845d64],
  [14, 0xe5aa0ab4, 0x4481951d],
  [101, 0x1f1aa412, 0x498ec8e2],
])('%i bytes', (length, plain, seeded) => {
  const bytes = sanityBytes(length);
  expect([checksumOf(bytes), checksumOf(bytes, SEED)]).toEqual([plain, seeded]);
});

test('bytes of any offset, of a Buffer, in shared memory', () => {
  const expected = 0x1f1aa412;
  for (const offset of [0, 1, 2, 3, 4]) {
    const shared = new Uint8Array(new SharedArrayBuffer(200), offset, 101);
    shared.set(sanityBytes(101));
    expect(checksumOf(shared)).toBe(expected);
    const buffer = Buffer.alloc(200).subarray(offset, offset + 101);
    buffer.set(sanityBytes(101));
    expect(checksumOf(buffer)).toBe(expected);
  }
});
