/** Memory: views over one shared buffer, made, adopted and bounded. */

import { describe, expect, test, vi } from 'vitest';
import { type Address, GiB, toAddress } from '../../src/memory/address.ts';
import { Memory, type ViewConstructor } from '../../src/memory/memory.ts';

describe('create', () => {
  test('says so when the runtime has no room', () => {
    const refusal = new RangeError('Array buffer allocation failed');
    vi.stubGlobal('SharedArrayBuffer', function refuse() {
      throw refusal;
    });
    try {
      expect(() => Memory.create(64)).toThrow(
        expect.objectContaining({ message: 'there is no room for a buffer of 64 bytes', cause: refusal }),
      );
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('gives zeroed bytes and every view of them', () => {
    const memory = Memory.create(64);
    expect(memory.byteLength).toBe(64);
    expect(memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(memory.u8.every((byte) => byte === 0)).toBe(true);
    memory.f64[1] = -1.5;
    expect(memory.u64[1]).toBe(0xbff8000000000000n);
    expect(memory.i64[1]).toBe(-0x4008000000000000n);
    expect(memory.u32[3]).toBe(0xbff80000);
    expect(memory.i32[3]).toBe(0xbff80000 | 0);
    expect(memory.f32[3]).toBe(-1.9375);
    expect(memory.u16[7]).toBe(0xbff8);
    expect(memory.i16[7]).toBe(0xbff8 - 0x10000);
    expect(memory.u8[15]).toBe(0xbf);
    expect(memory.i8[15]).toBe(0xbf - 0x100);
  });

  test('every view is as long as the memory', () => {
    const memory = Memory.create(4096);
    const { i8, u8, i16, u16, i32, u32, f32, i64, u64, f64 } = memory;
    for (const view of [i8, u8, i16, u16, i32, u32, f32, i64, u64, f64]) {
      expect(view.buffer).toBe(memory.buffer);
      expect([view.byteOffset, view.byteLength]).toEqual([0, 4096]);
    }
  });

  test.each([8, 9, 15, 16, 4095])('%d bytes are rounded up to a multiple of 8', (byteLength) => {
    const memory = Memory.create(byteLength);
    expect(memory.byteLength).toBe(Math.ceil(byteLength / 8) * 8);
    expect(memory.buffer.byteLength).toBe(memory.byteLength);
  });

  test('4 GiB can be had, and its last bytes written', () => {
    const memory = Memory.create(4 * GiB);
    memory.u8[4 * GiB - 1] = 7;
    expect(memory.u32[GiB - 1]).toBe(0x07000000);
    expect(memory.u64[GiB / 2 - 1]).toBe(0x0700000000000000n);
    expect(memory.bytes(toAddress(4 * GiB - 8), 8)).toEqual(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 7]));
  });

  test.each<unknown>([
    0,
    7,
    -8,
    8.5,
    4 * GiB + 1,
    2 ** 53,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '64',
    null,
    undefined,
    64n,
  ])('a length of %s is refused', (byteLength) => {
    expect(() => Memory.create(byteLength as number)).toThrow(RangeError);
  });
});

describe('attach', () => {
  test('sees what another memory over the same buffer writes', () => {
    const here = Memory.create(64);
    const there = Memory.attach(here.buffer);
    here.u32[3] = 99;
    expect(there.u32[3]).toBe(99);
    expect(there.buffer).toBe(here.buffer);
  });

  test('a length that is no multiple of 8 is rounded down', () => {
    expect(Memory.attach(new SharedArrayBuffer(15)).byteLength).toBe(8);
    expect(Memory.attach(new SharedArrayBuffer(17)).byteLength).toBe(16);
  });

  test.each([0, 7])('a buffer of %d bytes is refused', (byteLength) => {
    expect(() => Memory.attach(new SharedArrayBuffer(byteLength))).toThrow(RangeError);
  });

  test.each<unknown>([new ArrayBuffer(64), new Uint8Array(64), {}, null, undefined, 64])(
    '%s is no shared buffer',
    (buffer) => {
      expect(() => Memory.attach(buffer as SharedArrayBuffer)).toThrow(TypeError);
    },
  );

  test('a growable buffer is refused, with the way out', () => {
    const Growable = SharedArrayBuffer as unknown as new (
      length: number,
      options: object,
    ) => SharedArrayBuffer;
    const buffer = new Growable(64, { maxByteLength: 128 });
    expect(() => Memory.attach(buffer)).toThrow(TypeError);
    expect(() => Memory.attach(buffer)).toThrow('reserve the whole length');
  });
});

describe('bytes and views of a part', () => {
  const memory = Memory.create(256);

  test('bytes share the memory', () => {
    const bytes = memory.bytes(toAddress(13), 5);
    bytes.fill(3);
    expect([...memory.u8.subarray(12, 19)]).toEqual([0, 3, 3, 3, 3, 3, 0]);
    memory.u8.fill(0);
  });

  const views: [ViewConstructor, number][] = [
    [Int8Array, 1],
    [Uint8Array, 1],
    [Uint8ClampedArray, 1],
    [Int16Array, 2],
    [Uint16Array, 2],
    [Int32Array, 4],
    [Uint32Array, 4],
    [Float32Array, 4],
    [Float64Array, 8],
    [BigInt64Array, 8],
    [BigUint64Array, 8],
  ];

  test.each(views)('%o of %d bytes an element', (View, size) => {
    const view = memory.view(View, toAddress(64), 3);
    expect(view).toBeInstanceOf(View);
    expect(view.length).toBe(3);
    expect(view.byteOffset).toBe(64);
    expect(view.buffer).toBe(memory.buffer);
    expect(memory.view(View, toAddress(0), 256 / size).byteLength).toBe(256);
    expect(() => memory.view(View, toAddress(0), 256 / size + 1)).toThrow(RangeError);
    if (size > 1) expect(() => memory.view(View, toAddress(64 + size / 2), 1)).toThrow('not aligned');
  });

  test('nothing at the very end is something of no length', () => {
    expect(memory.bytes(toAddress(256), 0).length).toBe(0);
    expect(memory.view(Float64Array, toAddress(256), 0).length).toBe(0);
  });

  test.each<[unknown, unknown]>([
    [0, 257],
    [256, 1],
    [255, 2],
    [257, 0],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, 1.5],
    [Number.NaN, 1],
    [0, Number.NaN],
    [2 ** 32, 1],
    [8, 2 ** 53 - 1],
    ['0', 1],
    [0, '1'],
    [undefined, 1],
    [0, undefined],
  ])('address %s and size %s are refused', (address, size) => {
    expect(() => memory.bytes(address as Address, size as number)).toThrow(RangeError);
    expect(() => memory.view(Uint8Array, address as Address, size as number)).toThrow(RangeError);
  });

  test('bytes of the buffer behind the last whole unit have no address', () => {
    const odd = Memory.attach(new SharedArrayBuffer(23));
    expect(odd.bytes(toAddress(8), 8).length).toBe(8);
    expect(() => odd.bytes(toAddress(8), 9)).toThrow(RangeError);
    expect(() => odd.view(Uint8Array, toAddress(15), 2)).toThrow(RangeError);
  });

  test('the error says where the memory ends', () => {
    expect(() => memory.bytes(toAddress(250), 10)).toThrow(
      '10 bytes at 0x000000fa reach past the end of the memory (0x00000100)',
    );
  });
});
