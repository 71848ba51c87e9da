/** Images of files that the system gives a few bytes at a time, or that end while they are read. */

import type * as fs from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import type * as fsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AttachError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { loadImage, loadImageAsync, saveImage } from '../../src/node/image-file.ts';

/** How many bytes a read gives at most, and after how many reads the file ends. */
const system = vi.hoisted(() => ({
  most: 0,
  readsLeft: Number.POSITIVE_INFINITY,
  fewOf(views: readonly Uint8Array[]): Uint8Array[] {
    let room = system.readsLeft-- > 0 ? system.most : 0;
    return views.flatMap((view) => {
      const few = view.subarray(0, room);
      room -= few.length;
      return few.length === 0 ? [] : [few];
    });
  },
}));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  const readvSync = (file: number, views: Uint8Array[], position: number): number => {
    const few = system.fewOf(views);
    return few.length === 0 ? 0 : real.readvSync(file, few, position);
  };
  return { ...real, readvSync };
});

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof fsPromises>();
  const open = async (path: string, flags: string): Promise<fsPromises.FileHandle> => {
    const file = await real.open(path, flags);
    const readv = file.readv.bind(file);
    const short = async (views: Uint8Array[], position: number): Promise<{ bytesRead: number }> => {
      const few = system.fewOf(views);
      return few.length === 0 ? { bytesRead: 0 } : readv(few, position);
    };
    return Object.assign(file, { readv: short });
  };
  return { ...real, open };
});

const folder = mkdtempSync(join(tmpdir(), 'sabheap-image-'));
const file = join(folder, 'blocks.heap');
const heap = Heap.create({ byteLength: 8 * MiB });
const blocks = Array.from({ length: 40 }, (_, index) => heap.alloc(index % 2 === 0 ? 50_000 : 10_000));
for (const [index, address] of blocks.entries()) {
  heap.memory.bytes(address, heap.sizeOf(address)).forEach((_, at, bytes) => {
    bytes[at] = at * 7 + index;
  });
}
for (const [index, address] of blocks.entries()) if (index % 2 === 1) heap.free(address);
saveImage(heap, file);
afterAll(() => {
  heap.detach();
  rmSync(folder, { recursive: true, force: true });
});

describe.each([
  ['loadImage', loadImage],
  ['loadImageAsync', loadImageAsync],
])('%s', (_, load) => {
  beforeEach(() => {
    system.readsLeft = Number.POSITIVE_INFINITY;
  });

  test.each([1000, 49_999, 50_016, 60_000, 131_072])('%i bytes at a time', async (most) => {
    system.most = most;
    const copy = await load(file);
    for (const [index, address] of blocks.entries()) {
      if (index % 2 === 1) continue;
      const there = copy.memory.bytes(address, copy.sizeOf(address));
      expect(Buffer.compare(there, heap.memory.bytes(address, heap.sizeOf(address)))).toBe(0);
    }
    copy.verify();
    copy.detach();
  });

  test.each([0, 1, 5])('a file that ends after %i reads', async (reads) => {
    system.most = 100_000;
    system.readsLeft = reads;
    const loading = async (): Promise<Heap> => load(file);
    await expect(loading).rejects.toThrow(AttachError);
    system.readsLeft = reads;
    await expect(loading).rejects.toThrow(`${file}: the file was cut short while it was read`);
  });
});
