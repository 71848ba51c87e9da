/** Images in files: written whole or not at all, and loaded by processes that know nothing of the first one. */

import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { string } from '../../src/containers/string.ts';
import { AttachError, BusyError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB } from '../../src/memory/address.ts';
import { loadImage, loadImageAsync, saveImage } from '../../src/node/image-file.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { anotherThread, leave } from '../misuse/another-thread.ts';

const LOADER = fileURLToPath(new URL('../../dist/workers/test-threads/image-loader.js', import.meta.url));

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sabheap-image-'));
  file = join(folder, 'words.heap');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function heapOf(words: number): Heap {
  const heap = Heap.create({ byteLength: 16 * MiB });
  const map = SharedMap.create(heap, string, u32);
  for (let i = 0; i < words; i++) map.set(`word ${i}`, i);
  heap.roots.set('words', map);
  return heap;
}

test('another process loads it, and all of its workers attach', () => {
  const heap = heapOf(5000);
  saveImage(heap, file);
  expect(statSync(file).size).toBe(heap.snapshot().length);
  heap.detach();
  const printed = execFileSync(process.execPath, [LOADER, file], { encoding: 'utf8', timeout: 300_000 });
  const { id, sums, added, slots } = JSON.parse(printed);
  expect(id).not.toBe(heap.id);
  const sum = (5000 * 4999) / 2;
  expect(sums).toEqual([sum, sum]);
  expect(added, 'they write to it as well').toBe(2);
  expect(slots).toEqual([1]);
});

test('an image takes the place of an older one; the file of a failed try is gone', () => {
  const heap = heapOf(10);
  saveImage(heap, file);
  heap.roots.set('more', heap.alloc(8));
  saveImage(heap, file);
  expect(loadImage(file).roots.names()).toEqual(['words', 'more']);
  const before = readFileSync(file);
  const other = anotherThread(heap);
  expect(() => saveImage(heap, file)).toThrow(BusyError);
  leave(other, heap);
  expect(() => saveImage(heap, join(folder, 'no such folder', 'words.heap'))).toThrow(/ENOENT/);
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const place of [folder, pipe]) {
    expect(() => saveImage(heap, place)).toThrow(`no image can take the place of ${place}`);
  }
  rmSync(pipe);
  expect(readdirSync(folder)).toEqual(['words.heap']);
  expect(readFileSync(file).equals(before)).toBe(true);
  heap.detach();
});

test('a file that was cut short, altered or is none is refused', async () => {
  const heap = heapOf(100);
  saveImage(heap, file);
  const bytes = readFileSync(file);
  const refused = async (pattern: RegExp, path = file): Promise<void> => {
    const about = new RegExp(`${path}: .*${pattern.source}`);
    expect(() => loadImage(path)).toThrow(AttachError);
    expect(() => loadImage(path)).toThrow(about);
    await expect(loadImageAsync(path)).rejects.toThrow(AttachError);
    await expect(loadImageAsync(path)).rejects.toThrow(about);
  };
  for (const length of [bytes.length - 1, bytes.length >> 1, 100, 48, 47, 0]) {
    truncateSync(file, length);
    await refused(/cut short/);
    writeFileSync(file, bytes);
  }
  bytes[bytes.length - 9]! ^= 1;
  writeFileSync(file, bytes);
  await refused(/altered/);
  writeFileSync(file, '# some notes, long enough to be taken for the header of an image\n');
  await refused(/no heap image/);
  await refused(/it is no file/, folder);
  const nothing = join(folder, 'nothing.heap');
  expect(() => loadImage(nothing)).toThrow(/ENOENT/);
  await expect(loadImageAsync(nothing)).rejects.toThrow(/ENOENT/);
  heap.detach();
});

test('a file is loaded into a longer heap', () => {
  const heap = heapOf(100);
  saveImage(heap, file);
  const copy = loadImage(file, { byteLength: 32 * MiB });
  expect(copy.claim(16 * MiB)).toBe(true);
  expect(copy.roots.open('words', SharedMap.type(string, u32))!.get('word 7')).toBe(7);
  copy.verify();
});

/** A heap of many blocks between free ones, so that its image has as many parts, of every length. */
function heapWithHoles(blocks: number): { heap: Heap; kept: Address[] } {
  // Caches would put blocks of a size together.
  const heap = Heap.create({ byteLength: 64 * MiB, cache: false });
  const sizes = (index: number): number =>
    index % 2 === 1 ? 6000 : index % 200 === 0 ? 700_000 : (index % 1000) + 1;
  const all = Array.from({ length: 2 * blocks }, (_, index) => heap.alloc(sizes(index)));
  const kept = all.filter((_, index) => index % 2 === 0);
  for (const [index, address] of kept.entries()) heap.memory.bytes(address, sizes(2 * index)).fill(index);
  for (const [index, address] of all.entries()) if (index % 2 === 1) heap.free(address);
  return { heap, kept };
}

describe.each([
  ['loadImage', loadImage],
  ['loadImageAsync', loadImageAsync],
])('%s', (_, load) => {
  test('an image of many parts, small and large', async () => {
    const { heap, kept } = heapWithHoles(2500);
    saveImage(heap, file);
    const bytes = readFileSync(file);
    expect(bytes.readUInt32LE(12), 'parts').toBeGreaterThan(2500);
    const copy = await load(file);
    copy.verify();
    for (const address of kept) {
      const there = copy.memory.bytes(address, copy.sizeOf(address));
      if (Buffer.compare(there, heap.memory.bytes(address, heap.sizeOf(address))) !== 0)
        expect.fail(`the block at ${address} differs`);
    }
    copy.detach();
    // In the first, in a middle and in the last piece.
    for (const place of [bytes.readUInt32LE(12) * 8 + 48, bytes.length >> 1, bytes.length - 1]) {
      bytes[place]! ^= 0x40;
      writeFileSync(file, bytes);
      await expect(async () => load(file), `byte ${place}`).rejects.toThrow(/altered/);
      bytes[place]! ^= 0x40;
    }
    heap.detach();
  });

  test('a heap that the file does not fit into, or memory', async () => {
    const heap = heapOf(100);
    saveImage(heap, file);
    await expect(async () => load(file, { byteLength: MiB })).rejects.toThrow(/byteLength must be/);
    heap.detach();
  });
});

test('a disk that is full: the old image stays, nothing else', () => {
  const heap = heapOf(10);
  saveImage(heap, file);
  heap.detach();
  const before = readFileSync(file);
  const saver = fileURLToPath(new URL('../../dist/workers/test-threads/image-saver.js', import.meta.url));
  const flags = 'Deno' in globalThis ? ['run', '--allow-all'] : [];
  // The system refuses to write more than 1,000 blocks of 512 or 1,024 bytes; not all runtimes ignore its signal.
  const printed = execFileSync(
    'sh',
    ['-c', `trap '' XFSZ && ulimit -f 1000 && exec "$0" "$@"`, process.execPath, ...flags, saver, file],
    { encoding: 'utf8', timeout: 300_000 },
  );
  expect(printed).toMatch(/EFBIG|File too large/);
  expect(readdirSync(folder)).toEqual(['words.heap']);
  expect(readFileSync(file).equals(before)).toBe(true);
});

test('an image needs the path of a file', () => {
  const heap = Heap.create({ byteLength: MiB });
  expect(() => saveImage(heap, undefined as never)).toThrow('wants the path of a file, got undefined');
  heap.detach();
});
