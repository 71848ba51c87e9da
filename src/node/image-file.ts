/**
 * Heaps in files: `sabheap/node`.
 *
 *     saveImage(heap, 'index.heap');               one process, once
 *     const heap = loadImage('index.heap');        another one: all that the heap held is there
 *
 * A file holds what `heap.snapshot()` gives. It is written beside its place and then renamed, so that at every
 * moment there is the old image or the new one.
 *
 * Half of the time that loading takes goes to the system: it finds memory and copies the file's bytes to where
 * they belong. `loadImageAsync` leaves that to the threads of the runtime, some pieces ahead, and checks what is
 * there meanwhile. The event loop turns between two pieces; on two cores it all takes about as long.
 *
 *     threads of the runtime    read 0 │ read 2 │ read 4 …
 *                               read 1 │ read 3 │ read 5 …
 *     the calling thread                 sum 0 sum 1 sum 2 …
 */

import { randomUUID } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  readvSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import * as zlib from 'node:zlib';
import { AttachError, show } from '../errors.ts';
import { Heap } from '../heap/heap.ts';
import { beginRestore, type RestoreOptions, type Restoring } from '../heap/image.ts';
import { GiB, KiB } from '../memory/address.ts';
import { checksumOf } from '../memory/checksum.ts';

/** The most that the system writes at once. */
const MOST_BYTES = GiB;
/** What is read at once: its checksum is made while it is in the processor's cache. */
const PIECE_BYTES = 512 * KiB;
/** To how many places one call of the system reads, at most. */
const MOST_VIEWS = 1024;
/** How many pieces are being read at a time: the threads that a runtime has for it, unless told otherwise. */
const AT_ONCE = 4;

// Not in Node before 20.15.
const checksum = (zlib as { crc32?: typeof checksumOf }).crc32 ?? checksumOf;

/** Bytes that follow each other in the file, and where they belong. */
interface Piece {
  readonly position: number;
  readonly byteLength: number;
  readonly views: readonly Uint8Array[];
}

/**
 * Writes an image of a heap to a file, whole or not at all. A process that is killed meanwhile may leave a file
 * `path.<random>` behind.
 *
 * @param path what is there is replaced: a link too, not what it leads to
 * @throws BusyError as `heap.snapshot()`
 * @throws TypeError when `path` is no path, or leads to something that is no file, as a folder
 * @throws the system's error when the file cannot be written
 */
export function saveImage(heap: Heap, path: string): void {
  if (typeof path !== 'string' || path === '') {
    throw new TypeError(`saveImage(heap, path) wants the path of a file, got ${show(path)}`);
  }
  // A device would be replaced as well.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    throw new TypeError(`no image can take the place of ${path}: it is no file`);
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
 * @throws RangeError when the heap does not fit into `byteLength`, or into memory
 * @throws the system's error when the file cannot be read
 */
export function loadImage(path: string, options: RestoreOptions = {}): Heap {
  try {
    return withFile(path, 'r', (file) => {
      const { pieces, finish } = begin(file, options);
      let sum = 0;
      for (const piece of pieces) {
        for (let done = 0; done < piece.byteLength; ) {
          done = advance(done, readvSync(file, from(piece, done), piece.position + done));
        }
        sum = checksumWith(piece, sum);
      }
      return Heap.attach(finish(sum));
    });
  } catch (error) {
    throw about(path, error);
  }
}

/**
 * As {@link loadImage}, while the calling thread goes on with other work. The promise is rejected where
 * `loadImage` throws.
 */
export async function loadImageAsync(path: string, options: RestoreOptions = {}): Promise<Heap> {
  const file = await open(path, 'r');
  try {
    const { pieces, finish } = begin(file.fd, options);
    const ahead: Promise<Piece>[] = [];
    let sum = 0;
    for (const piece of pieces) {
      const reading = fill(file, piece);
      // Nobody awaits it when one before it fails.
      reading.catch(() => {});
      if (ahead.push(reading) === AT_ONCE) sum = checksumWith(await ahead.shift()!, sum);
    }
    for (const reading of ahead) sum = checksumWith(await reading, sum);
    return Heap.attach(finish(sum));
  } catch (error) {
    throw about(path, error);
  } finally {
    await file.close();
  }
}

/** Reads what comes before the body. */
function begin(file: number, options: RestoreOptions): Restoring & { pieces: Iterable<Piece> } {
  const stat = fstatSync(file);
  if (!stat.isFile()) throw new AttachError('no heap image: it is no file');
  let position = 0;
  const read = (into: Uint8Array, before: number): number => {
    for (let at = 0; at < into.length; ) {
      at = advance(at, readSync(file, into, at, into.length - at, position + at));
    }
    position += into.length;
    return checksum(into, before);
  };
  const restoring = beginRestore({ byteLength: stat.size, read }, options);
  return { ...restoring, pieces: piecesOf(restoring.parts, position) };
}

/** Cuts what is long, and puts together what is short. */
function* piecesOf(parts: readonly Uint8Array[], start: number): Generator<Piece> {
  let position = start;
  let views: Uint8Array[] = [];
  let byteLength = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const view = part.subarray(at, at + PIECE_BYTES - byteLength);
      views.push(view);
      at += view.length;
      byteLength += view.length;
      if (byteLength < PIECE_BYTES && views.length < MOST_VIEWS) continue;
      yield { position, byteLength, views };
      position += byteLength;
      views = [];
      byteLength = 0;
    }
  }
  if (byteLength > 0) yield { position, byteLength, views };
}

async function fill(file: FileHandle, piece: Piece): Promise<Piece> {
  for (let done = 0; done < piece.byteLength; ) {
    const { bytesRead } = await file.readv(from(piece, done), piece.position + done);
    done = advance(done, bytesRead);
  }
  return piece;
}

/** Where the bytes of a piece belong but for the first ones: the system may read less than it was asked for. */
function from({ views }: Piece, done: number): readonly Uint8Array[] {
  if (done === 0) return views;
  let start = 0;
  return views.flatMap((view) => {
    const rest = view.subarray(Math.max(0, done - start));
    start += view.length;
    return rest.length === 0 ? [] : [rest];
  });
}

function advance(done: number, bytesRead: number): number {
  if (bytesRead === 0) throw new AttachError('the file was cut short while it was read');
  return done + bytesRead;
}

function checksumWith({ views }: Piece, before: number): number {
  return views.reduce((sum, view) => checksum(view, sum), before);
}

/** The error, which says of which file it speaks. */
function about(path: string, error: unknown): unknown {
  if (error instanceof AttachError) error.message = `${path}: ${error.message}`;
  return error;
}

function withFile<R>(path: string, flags: string, fn: (file: number) => R): R {
  const file = openSync(path, flags);
  try {
    return fn(file);
  } finally {
    closeSync(file);
  }
}
