/**
 * A word index in the heap, which all threads add to at once. Structs, linked by refs:
 *
 *      Index ─ buckets ─▶ ┌ Bucket ┬ Bucket ┬ Bucket ┬ … ┐
 *        │                └ first ─┴────────┴────────┴───┘
 *        │                    ▼
 *      shards: 64 locks      Word "heap" ─ next ─▶ Word "shared" ─ next ─▶ null
 *                             │ postings             │ postings
 *                             ▼                      ▼
 *                            Posting ─ next ─▶ …    Posting ─ next ─▶ null
 *                            file, count
 *
 * A word's hash chooses its bucket and its shard. Whoever holds the shard's lock may change the chains
 * of the shard's buckets: threads wait for each other only when they meet in one of 64.
 */

import {
  type Address,
  array,
  type Heap,
  type Lock,
  NULL,
  OutOfMemoryError,
  ref,
  type StructArray,
  struct,
  u16,
  u32,
  type View,
} from '../../src/index.ts';
import { LONGEST_WORD_BYTES } from './tokenize.ts';

/** So often a word comes in a file. */
export const Posting = struct('Posting', {
  file: u32,
  count: u32,
  get next() {
    return ref(Posting);
  },
});

/** A word. Its text, `byteLength` bytes of UTF-8, lies right behind the struct in the same block. */
export const Word = struct('Word', {
  get next() {
    return ref(Word);
  },
  postings: ref(Posting),
  hash: u32,
  /** How often the word comes in all files. */
  count: u32,
  /** In how many files it comes. */
  files: u32,
  byteLength: u16,
});

const Bucket = struct('Bucket', { first: ref(Word) });
/** A lock, alone in its 64 bytes: processors pass those on as a whole. */
const Shard = struct('Shard', { lock: array(u32, 2), rest: array(u32, 14) });
const SHARDS = 64;
const Index = struct('Index', { shards: array(Shard, SHARDS), buckets: ref(Bucket), bucketCount: u32 });

const ROOT = 'word index';
const LEAST_BUCKETS = 1024;
const MOST_BUCKETS = 1024 * 1024;
const HEAP_BYTES_PER_BUCKET = 1024;

/** One thread's handle of the index. */
export class WordIndex {
  readonly #heap: Heap;
  readonly #u8: Uint8Array;
  readonly #index: View<typeof Index>;
  readonly #buckets: StructArray<typeof Bucket>;
  readonly #locks: readonly Lock[];
  /** These views move from struct to struct, so that adding a word makes no garbage. */
  readonly #bucket: View<typeof Bucket>;
  readonly #word: View<typeof Word>;
  readonly #posting: View<typeof Posting>;
  readonly #text = new Uint8Array(LONGEST_WORD_BYTES);
  #textLength = 0;

  /**
   * Lays out an empty index and names it, so that the other threads can open it.
   *
   * @throws OutOfMemoryError when the heap is too small
   */
  static create(heap: Heap): WordIndex {
    const wanted = heap.memory.byteLength / HEAP_BYTES_PER_BUCKET;
    const bucketCount = 2 ** Math.floor(Math.log2(Math.min(Math.max(wanted, LEAST_BUCKETS), MOST_BUCKETS)));
    const buckets = Bucket.array(heap, bucketCount);
    heap.roots.set(ROOT, heap.new(Index, { bucketCount, buckets: buckets.at(0) }));
    return WordIndex.open(heap);
  }

  /** Opens the index that another thread has created. */
  static open(heap: Heap): WordIndex {
    const index = heap.roots.open(ROOT, Index);
    if (index === undefined) throw new ReferenceError('the heap holds no word index');
    return new WordIndex(heap, index);
  }

  private constructor(heap: Heap, index: View<typeof Index>) {
    const handle = { address: index.addressOf('buckets'), length: index.bucketCount };
    this.#heap = heap;
    this.#u8 = heap.memory.u8;
    this.#index = index;
    this.#buckets = Bucket.arrayAt(heap, { ...handle, hash: Bucket.hash, layout: 'rows' });
    this.#locks = Array.from(index.shards, (shard) => heap.lock(shard.address));
    this.#bucket = this.#buckets.at(0);
    // Anywhere: they are moved before they are read.
    this.#word = heap.at(Word, index.address);
    this.#posting = heap.at(Posting, index.address);
  }

  // ── Adding: any thread, at any time ─────────────────────────────────────────────────────────────

  /** Adds `count` uses of a word in a file. Call it once for each word and file. */
  add(text: string, file: number, count: number): void {
    const hash = this.#encode(text);
    const posting = this.#posting;
    posting.address = this.#allocate(Posting.size);
    posting.file = file;
    posting.count = count;
    const lock = this.#locks[hash % SHARDS]!;
    lock.acquire();
    try {
      const word = this.#wordOf(hash);
      posting.next = word.postings;
      word.postings = posting;
      word.count += count;
      word.files++;
    } finally {
      lock.release();
    }
  }

  /** Finds the encoded word, or links a new one. Requires: the shard's lock is held. */
  #wordOf(hash: number): View<typeof Word> {
    const word = this.#word;
    const bucket = this.#buckets.at(hash % this.#buckets.length, this.#bucket);
    let address = bucket.addressOf('first');
    while (address !== NULL) {
      word.address = address;
      if (word.hash === hash && this.#hasText(word)) return word;
      address = word.addressOf('next');
    }
    word.address = this.#allocate(Word.size + this.#textLength);
    word.set({ next: bucket.first, postings: null, hash, count: 0, files: 0, byteLength: this.#textLength });
    this.#u8.set(this.#text.subarray(0, this.#textLength), word.address + Word.size);
    bucket.first = word;
    return word;
  }

  #hasText(word: View<typeof Word>): boolean {
    const length = this.#textLength;
    if (word.byteLength !== length) return false;
    const start = word.address + Word.size;
    for (let i = 0; i < length; i++) if (this.#u8[start + i] !== this.#text[i]) return false;
    return true;
  }

  #allocate(size: number): Address {
    const address = this.#heap.alloc(size);
    if (address === NULL) throw new OutOfMemoryError(size, 'the word index does not fit');
    return address;
  }

  /** Writes a word as UTF-8 into `#text`. Returns its hash: 32-bit FNV-1a. */
  #encode(text: string): number {
    const bytes = this.#text;
    let length = text.length;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 128) {
        length = encoder.encodeInto(text, bytes).written;
        break;
      }
      bytes[i] = unit;
    }
    let hash = 0x811c9dc5;
    for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    this.#textLength = length;
    return hash >>> 0;
  }

  // ── Reading: any thread, once nothing is added any more ─────────────────────────────────────────

  /** Every word, in no particular order. One view that moves on: it is not to be kept. */
  *words(): Generator<View<typeof Word>> {
    const word = this.#word;
    for (let i = 0; i < this.#buckets.length; i++) {
      let address = this.#buckets.at(i, this.#bucket).addressOf('first');
      while (address !== NULL) {
        word.address = address;
        // Read before the word is shown: it may be freed then.
        address = word.addressOf('next');
        yield word;
      }
    }
  }

  /** Where a word comes. One view that moves on. */
  *postingsOf(word: View<typeof Word>): Generator<View<typeof Posting>> {
    const posting = this.#posting;
    let address = word.addressOf('postings');
    while (address !== NULL) {
      posting.address = address;
      address = posting.addressOf('next');
      yield posting;
    }
  }

  /** A word's text. */
  textOf(word: View<typeof Word>): string {
    const start = word.address + Word.size;
    // A copy: decoders need not take shared bytes.
    return decoder.decode(this.#u8.slice(start, start + word.byteLength));
  }

  // ── Freeing: one thread, once nobody reads any more ─────────────────────────────────────────────

  /** Frees all words and postings. Returns how many blocks that were. */
  freeWords(): number {
    const heap = this.#heap;
    let blocks = 0;
    for (const word of this.words()) {
      for (const posting of this.postingsOf(word)) {
        heap.free(posting.address);
        blocks++;
      }
      heap.free(word.address);
      blocks++;
    }
    return blocks;
  }

  /** Frees the table of buckets, the index and its name. Returns how many blocks that were. */
  freeTable(): number {
    this.#buckets.free();
    this.#heap.roots.delete(ROOT);
    this.#heap.delete(this.#index);
    return 3;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
