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
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SharedMap } from '../../src/containers/map.ts';
import { string } from '../../src/containers/string.ts';
import { AttachError, BusyError } from '../../src/errors.ts';
import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { loadImage, saveImage } from '../../src/node/image-file.ts';
import { u32 } from '../../src/structs/scalars.ts';

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
  const printed = execFileSync(process.execPath, [LOADER, file], { encoding: 'utf8', timeout: 60_000 });
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
  attached().heaps.delete(heap.id);
  const other = Heap.attach(heap.handle);
  attached().heaps.set(heap.id, heap);
  expect(() => saveImage(heap, file)).toThrow(BusyError);
  attached().heaps.set(heap.id, other);
  other.detach();
  attached().heaps.set(heap.id, heap);
  expect(() => saveImage(heap, join(folder, 'no such folder', 'words.heap'))).toThrow(/ENOENT/);
  expect(() => saveImage(heap, folder)).toThrow(/EISDIR|EEXIST|ENOTEMPTY|EPERM/);
  expect(readdirSync(folder)).toEqual(['words.heap']);
  expect(readFileSync(file).equals(before)).toBe(true);
  heap.detach();
});

test('a file that was cut short, altered or is none is refused', () => {
  const heap = heapOf(100);
  saveImage(heap, file);
  const bytes = readFileSync(file);
  const refused = (pattern: RegExp): void => {
    expect(() => loadImage(file)).toThrow(AttachError);
    expect(() => loadImage(file)).toThrow(pattern);
  };
  for (const length of [bytes.length - 1, bytes.length >> 1, 100, 48, 47, 0]) {
    truncateSync(file, length);
    refused(/cut short/);
    writeFileSync(file, bytes);
  }
  bytes[bytes.length - 9]! ^= 1;
  writeFileSync(file, bytes);
  refused(/altered/);
  writeFileSync(file, '# some notes, long enough to be taken for the header of an image\n');
  refused(/no heap image/);
  expect(() => loadImage(join(folder, 'nothing.heap'))).toThrow(/ENOENT/);
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

test('an image needs the path of a file', () => {
  const heap = Heap.create({ byteLength: MiB });
  expect(() => saveImage(heap, undefined as never)).toThrow('wants the path of a file, got undefined');
  heap.detach();
});
