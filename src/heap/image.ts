/**
 * Image: a heap as bytes that lie in a file, or go to another machine. Addresses are offsets from the start, so
 * whoever has the bytes has the heap: nothing is parsed, every thread attaches to it as it is.
 *
 *      0        4         8          12        16           24           32            40
 *     ┌────────┬─────────┬──────────┬─────────┬────────────┬────────────┬─────────────┬───────────────┐
 *     │ magic  │ version │ checksum │ extents │ byteLength │ heapLength │ leastLength │ body checksum │
 *     │ "SABI" │ u32     │ u32      │ count   │ f64        │ f64        │ f64         │ u32, unused   │
 *     └────────┴─────────┴──────────┴─────────┴────────────┴────────────┴─────────────┴───────────────┘
 *       48
 *     ┌ extent: first unit, count of units, u32 each ┬ extent ┬ … ┬ body: the bytes of all extents ────┐
 *     └──────────────────────────────────────────────┴────────┴───┴────────────────────────────────────┘
 *
 *      checksum      of what follows it up to the body (see memory/checksum.ts)
 *      byteLength    of the image, heapLength of the heap that it was taken of
 *      leastLength   how long a heap must be to hold it: what the allocator has claimed
 *
 *      heap     ├ superblock … first block ┬ blocks ┬ free ──────┬ blocks ┬ free ──── … reserve ┤
 *      extents  ├──────────────────────────────────────┤        ├───────────┤
 *
 * Left out are the insides of free blocks, long runs of zeros before the first block (a buddy's maps) and what
 * lies above the last one. The image shows the heap as if the thread that takes it had left: that one's
 * blocks are ORPHAN, no lock is held. A restored heap has an id of its own and no threads; its slots count
 * their generations on, so that words in containers which name a thread of old are those of one that is gone.
 */

import type { Algorithm } from '../allocators/algorithm.ts';
import type { Locked } from '../allocators/locked.ts';
import { LIVE, ORPHAN, ownerOf, stateOf, unownedWord } from '../allocators/ownership.ts';
import { AttachError, BusyError } from '../errors.ts';
import { ADDRESS_LIMIT, NULL, UNIT } from '../memory/address.ts';
import { checksumOf } from '../memory/checksum.ts';
import { checkInteger } from '../memory/layout.ts';
import { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import { ThreadSlots } from './slots.ts';
import { readSuperblock, renewSuperblock } from './superblock.ts';

/** "SABI", read as a little-endian word. */
const MAGIC = 0x49424153;
const IMAGE_VERSION = 1;
const HEADER_BYTES = 48;
/** What the header's checksum covers starts here. */
const COVERED = 12;

// Indexes of 32-bit words.
const VERSION = 1;
const CHECKSUM = 2;
const EXTENTS = 3;
const BODY_CHECKSUM = 10;
// Indexes of f64 elements.
const BYTE_LENGTH = 2;
const HEAP_LENGTH = 3;
const LEAST_LENGTH = 4;

const EXTENT_BYTES = 8;
/** Units between two extents, at least: 4 KiB. */
const LEAST_HOLE = 512;
/** Units at the front of a free block that hold its links. */
const LINKS = 1;
/** Units at its end that hold its footer; above all blocks, the end marker. */
const FOOTER = 1;

/** What `Heap.restore` can be told. */
export interface RestoreOptions {
  /** Bytes to reserve, up to 4 GiB; `claim` takes of what is more than the old heap had. Default: as the old heap. */
  readonly byteLength?: number;
}

/** A part of the heap that the image has: units of the heap, and where it lies in the image. */
interface Extent {
  readonly start: number;
  readonly end: number;
  readonly at: number;
}

/**
 * Takes an image. The calling thread must have flushed its cache.
 *
 * @throws BusyError when it holds a lock, or another thread is attached, or comes while the image is taken
 */
export function takeImage(
  memory: Memory,
  slots: ThreadSlots,
  thread: Thread,
  allocator: Locked,
): Uint8Array<ArrayBuffer> {
  if (slots.isBusy(thread)) throw busy('this thread, which has a lock in its hands');
  const takings = slots.takings();
  const other = slots.taken().find(({ slot }) => slot !== thread.slot);
  if (other !== undefined) throw busy(`thread ${other.threadId} (slot ${other.slot})`);
  let image: Uint8Array<ArrayBuffer>;
  allocator.acquire();
  try {
    image = copyHeap(memory, allocator);
  } finally {
    allocator.lock.release();
  }
  if (slots.takings() !== takings) throw busy('a thread that attached meanwhile');
  return image;
}

function busy(holder: string): BusyError {
  return new BusyError('heap', NULL, holder, 'saved');
}

/** Requires: allocator lock held. */
function copyHeap(memory: Memory, allocator: Locked): Uint8Array<ArrayBuffer> {
  const core = allocator.inner;
  const extents = keptExtents(memory, core);
  const bodyAt = HEADER_BYTES + extents.length * EXTENT_BYTES;
  const bytesOf = ({ start, end }: Extent): number => (end - start) * UNIT;
  const image = new Uint8Array(extents.reduce((sum, extent) => sum + bytesOf(extent), bodyAt));
  const u32 = new Uint32Array(image.buffer);
  for (const [index, { start, end, at }] of extents.entries()) {
    u32[HEADER_BYTES / 4 + index * 2] = start;
    u32[HEADER_BYTES / 4 + index * 2 + 1] = end - start;
    image.set(memory.u8.subarray(start * UNIT, end * UNIT), bodyAt + at * UNIT);
  }
  leaveHeap(u32.subarray(bodyAt / 4), extents, memory, allocator);
  const f64 = new Float64Array(image.buffer, 0, HEADER_BYTES / UNIT);
  u32[0] = MAGIC;
  u32[VERSION] = IMAGE_VERSION;
  u32[EXTENTS] = extents.length;
  f64[BYTE_LENGTH] = image.length;
  f64[HEAP_LENGTH] = memory.byteLength;
  f64[LEAST_LENGTH] = core.end;
  u32[BODY_CHECKSUM] = extents.reduce((before, extent) => {
    const at = bodyAt + extent.at * UNIT;
    return checksumOf(image.subarray(at, at + bytesOf(extent)), before);
  }, 0);
  u32[CHECKSUM] = checksumOf(image.subarray(COVERED, bodyAt));
  return image;
}

/** Has the body show the heap without the calling thread: its blocks are nobody's, the lock is free. */
function leaveHeap(
  body: Uint32Array,
  extents: readonly Extent[],
  { i32 }: Memory,
  { lock, inner: core }: Locked,
): void {
  body[placeIn(extents, lock.address >>> 2)] = 0;
  for (let address = core.firstBlock(); address !== NULL; address = core.blockAfter(address)) {
    if (core.isFree(address)) continue;
    const index = core.ownershipIndexAt(address);
    const word = i32[index]!;
    if (stateOf(word) !== LIVE || ownerOf(word) !== core.owner) continue;
    body[placeIn(extents, index)] = unownedWord(word, ORPHAN);
  }
}

/** What of the heap goes into the image, in address order. Requires: allocator lock held. */
function keptExtents(memory: Memory, core: Algorithm): Extent[] {
  const extents: Extent[] = [];
  let start = 0;
  let at = 0;
  const leaveOut = (from: number, to: number): void => {
    if (to - from < LEAST_HOLE) return;
    if (from > start) extents.push({ start, end: from, at });
    at += from - start;
    start = to;
  };
  const first = core.ownershipCodec().lowest / UNIT;
  for (let unit = 0; unit < first; unit++) {
    const zeros = unit;
    while (unit < first && memory.i32[unit * 2] === 0 && memory.i32[unit * 2 + 1] === 0) unit++;
    leaveOut(zeros, unit);
  }
  let top = first;
  for (let address = core.firstBlock(); address !== NULL; address = core.blockAfter(address)) {
    const block = address / UNIT;
    top = block + core.usableSize(address) / UNIT;
    if (core.isFree(address)) leaveOut(block + LINKS, top - FOOTER);
  }
  leaveOut(Math.min(top + FOOTER, core.end / UNIT), Number.POSITIVE_INFINITY);
  return extents;
}

/** Where a word of the heap lies in the body: indexes of 32-bit words. */
function placeIn(extents: readonly Extent[], word: number): number {
  let low = 0;
  for (let high = extents.length; high - low > 1; ) {
    const middle = (low + high) >>> 1;
    if (extents[middle]!.start * 2 <= word) low = middle;
    else high = middle;
  }
  const { start, at } = extents[low]!;
  return (at - start) * 2 + word;
}

/** Where the bytes of an image come from. */
export interface ImageSource {
  /** How many there are. */
  readonly byteLength: number;
  /** Fills `into` with the next ones. Returns their checksum, `before` being that of what came before. */
  read(into: Uint8Array, before: number): number;
}

/** An image in memory as a source. */
export function sourceOf(image: Uint8Array): ImageSource {
  if (!(image instanceof Uint8Array)) throw new TypeError('restore wants the Uint8Array of a snapshot');
  let at = 0;
  return {
    byteLength: image.length,
    read(into, before) {
      into.set(image.subarray(at, at + into.length));
      at += into.length;
      return checksumOf(into, before);
    },
  };
}

/** A heap that is being made of an image. */
export interface Restoring {
  /** Where the bytes of the body go, in their order. */
  readonly parts: readonly Uint8Array[];
  /**
   * Gives the buffer for `Heap.attach`, when all parts have been filled.
   *
   * @param checksum of all parts
   * @throws AttachError when it is not that of the image
   */
  finish(checksum: number): SharedArrayBuffer;
}

/**
 * Reads an image up to its body, and makes the buffer that the body goes to.
 *
 * @throws AttachError when it is no image, of another version, cut short or altered
 * @throws RangeError when `byteLength` is too small to hold it, or the runtime refuses so large a buffer
 */
export function beginRestore(source: ImageSource, options: RestoreOptions): Restoring {
  const head = readHead(source);
  const u32 = new Uint32Array(head.buffer);
  const f64 = new Float64Array(head.buffer);
  const byteLength = options.byteLength ?? f64[HEAP_LENGTH]!;
  checkInteger('byteLength', byteLength, f64[LEAST_LENGTH]!, ADDRESS_LIMIT);
  const memory = Memory.create(byteLength);
  const parts: Uint8Array[] = [];
  for (let word = HEADER_BYTES / 4; word < u32.length; word += 2) {
    const start = u32[word]! * UNIT;
    parts.push(memory.u8.subarray(start, start + u32[word + 1]! * UNIT));
  }
  const finish = (checksum: number): SharedArrayBuffer => {
    if (checksum !== u32[BODY_CHECKSUM]) throw new AttachError('the image was altered: its checksum differs');
    renewSuperblock(memory);
    const { slots, maxThreads } = readSuperblock(memory);
    new ThreadSlots(memory, slots, maxThreads).vacate();
    return memory.buffer;
  };
  return { parts, finish };
}

/** Makes a buffer of an image at once; throws as {@link beginRestore}. */
export function restoreImage(source: ImageSource, options: RestoreOptions): SharedArrayBuffer {
  const { parts, finish } = beginRestore(source, options);
  return finish(parts.reduce((before, part) => source.read(part, before), 0));
}

/** Reads all that comes before the body, and checks it. */
function readHead(source: ImageSource): Uint8Array<ArrayBuffer> {
  const { byteLength } = source;
  if (byteLength < HEADER_BYTES)
    throw new AttachError(`${byteLength} bytes are no heap image: it was cut short`);
  const header = new Uint8Array(HEADER_BYTES);
  source.read(header.subarray(0, COVERED), 0);
  const checksum = source.read(header.subarray(COVERED), 0);
  const u32 = new Uint32Array(header.buffer);
  const f64 = new Float64Array(header.buffer);
  if (u32[0] !== MAGIC) throw new AttachError('the bytes are no heap image: the first word differs');
  if (u32[VERSION] !== IMAGE_VERSION) {
    throw new AttachError(
      `the image has version ${u32[VERSION]}, this library reads version ${IMAGE_VERSION}`,
    );
  }
  if (f64[BYTE_LENGTH] !== byteLength) {
    throw new AttachError(
      `the image was cut short or altered: it has ${byteLength} bytes and says ${f64[BYTE_LENGTH]}`,
    );
  }
  const bodyAt = HEADER_BYTES + u32[EXTENTS]! * EXTENT_BYTES;
  const head = new Uint8Array(Math.min(bodyAt, byteLength));
  head.set(header);
  if (u32[CHECKSUM] !== source.read(head.subarray(HEADER_BYTES), checksum)) {
    throw new AttachError('the image was altered: the checksum of its header differs');
  }
  return head;
}
