/**
 * Heaps in files: `sabheap/node`.
 *
 *     saveImage(heap, 'index.heap');               one process, once
 *     const heap = loadImage('index.heap');        another one: all that the heap held is there
 *
 * A file holds what `heap.snapshot()` gives. It is written beside its place and then renamed, so that at every
 * moment there is the old image or the new one.
 */

import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import * as zlib from 'node:zlib';
import { AttachError, show } from '../errors.ts';
import { Heap } from '../heap/heap.ts';
import { type RestoreOptions, restoreImage } from '../heap/image.ts';
import { GiB, MiB } from '../memory/address.ts';
import { checksumOf } from '../memory/checksum.ts';

/** The most that the system writes at once. */
const MOST_BYTES = GiB;
/** What is read at once: its checksum is made while it is in the processor's cache. */
const PIECE_BYTES = MiB;

// Not in Node before 20.15.
const checksum = (zlib as { crc32?: typeof checksumOf }).crc32 ?? checksumOf;

/**
 * Writes an image of a heap to a file, whole or not at all.
 *
 * @throws TypeError when `path` is no string
 * @throws BusyError as `heap.snapshot()`
 * @throws the system's error when the file cannot be written
 */
export function saveImage(heap: Heap, path: string): void {
  if (typeof path !== 'string' || path === '') {
    throw new TypeError(`saveImage(heap, path) wants the path of a file, got ${show(path)}`);
  }
  const image = heap.snapshot();
  const beside = `${path}.${randomUUID()}`;
  try {
    withFile(beside, 'wx', (file) => {
      for (let at = 0; at < image.length; ) {
        at += writeSync(file, image, at, Math.min(MOST_BYTES, image.length - at));
      }
      fsyncSync(file);
    });
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

/**
 * Makes a heap of a file that `saveImage` wrote, and attaches this thread to it.
 *
 * @throws AttachError as `Heap.restore`
 * @throws the system's error when the file cannot be read
 */
export function loadImage(path: string, options: RestoreOptions = {}): Heap {
  return withFile(path, 'r', (file) => {
    const byteLength = fstatSync(file).size;
    // Straight to where the bytes belong: there is no second copy.
    const read = (into: Uint8Array, before: number): number => readAll(file, into, before);
    return Heap.attach(restoreImage({ byteLength, read }, options));
  });
}

/** Fills `into`. Returns the checksum of it and what came before. */
function readAll(file: number, into: Uint8Array, before: number): number {
  let sum = before;
  for (let at = 0; at < into.length; ) {
    const got = readSync(file, into, at, Math.min(PIECE_BYTES, into.length - at), null);
    if (got === 0) throw new AttachError('the file was cut short while it was read');
    sum = checksum(into.subarray(at, at + got), sum);
    at += got;
  }
  return sum;
}

function withFile<R>(path: string, flags: string, fn: (file: number) => R): R {
  const file = openSync(path, flags);
  try {
    return fn(file);
  } finally {
    closeSync(file);
  }
}
