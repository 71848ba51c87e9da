/**
 * A word index in the heap, which all threads add to at once. Structs, linked by refs:
 *
 *      Index ─ buckets ─▶ ┌ Bucket ┬ Bucket ┬ Bucket ┬ … ┐
 *        │                └ first ─┴────────┴────────┴───┘
 *        │                    ▼
 *      shards: 64 locks      Word "heap" ── next ─▶ Word "shared" ── next ─▶ null
 *                             │ postings             │ postings
 *                             ▼                      ▼
 *                            Postings ── next ─▶ …  Postings ── next ─▶ null
 *                            Posting, Posting, …    Posting
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
import { countOf } from './plain-index.ts';
import { LONGEST_WORD_BYTES } from './tokenize.ts';

/** So often a word comes in a file. */
export const Posting = struct('Posting', { file: u32, count: u32 });

/** The postings that one thread has added at once: `length` of them lie right behind the struct. */
const Postings = struct('Postings', {
  get next() {
    return ref(Postings);
  },
  length: u32,
});

/** A word. Its text, `byteLength` bytes of UTF-8, lies right behind the struct in the same block. */
export const Word = struct('Word', {
  get next() {
    return ref(Word);
  },
  postings: ref(Postings),
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

// Worked out once: what lies behind a struct is looked up often.
const POSTING_BYTES = Posting.size;
const POSTINGS_BYTES = Postings.size;
const WORD_BYTES = Word.size;

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
  /** The number of buckets is a power of two: this, one less, takes an index out of a hash. */
  readonly #lastBucket: number;
  readonly #locks: readonly Lock[];
  /** These views move from struct to struct, so that adding a word makes no garbage. */
  readonly #bucket: View<typeof Bucket>;
  readonly #word: View<typeof Word>;
  readonly #posting: View<typeof Posting>;
  readonly #postings: View<typeof Postings>;
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
    this.#lastBucket = index.bucketCount - 1;
    this.#locks = Array.from(index.shards, (shard) => heap.lock(shard.address));
    this.#bucket = this.#buckets.at(0);
    // Anywhere: they are moved before they are read.
    this.#word = heap.at(Word, index.address);
    this.#posting = heap.at(Posting, index.address);
    this.#postings = heap.at(Postings, index.address);
  }

  // ── Adding: any thread, at any time ─────────────────────────────────────────────────────────────

  /**
   * Adds uses of a word.
   *
   * @param postings file, count, file, count, …; no file that was given for this word before
   * @throws OutOfMemoryError when the heap is full
   */
  add(text: string, postings: readonly number[]): void {
    const hash = this.#encode(text);
    const added = this.#copyIn(postings);
    const lock = this.#locks[hash % SHARDS]!;
    lock.acquire();
    try {
      const word = this.#find(hash) ?? this.#insert(hash);
      added.next = word.postings;
      word.postings = added;
      word.count += countOf(postings);
      word.files += added.length;
    } catch (error) {
      // There was no room for a new word: nothing leads to its postings.
      this.#heap.free(added.address);
      throw error;
    } finally {
      lock.release();
    }
  }

  /** Copies postings into a block of the heap, which no other thread knows yet. */
  #copyIn(postings: readonly number[]): View<typeof Postings> {
    const added = this.#postings;
    const posting = this.#posting;
    const length = postings.length / 2;
    added.address = this.#allocate(POSTINGS_BYTES + length * POSTING_BYTES);
    added.length = length;
    for (let i = 0; i < length; i++) {
      posting.address = added.address + POSTINGS_BYTES + i * POSTING_BYTES;
      posting.file = postings[i * 2]!;
      posting.count = postings[i * 2 + 1]!;
    }
    return added;
  }

  /** Finds the encoded word. Requires: the shard's lock is held. */
  #find(hash: number): View<typeof Word> | undefined {
    const word = this.#word;
    let address = this.#bucketOf(hash).addressOf('first');
    while (address !== NULL) {
      word.address = address;
      if (word.hash === hash && this.#hasText(word)) return word;
      address = word.addressOf('next');
    }
    return undefined;
  }

  /** Links the encoded word as a new one. Requires: the shard's lock is held. */
  #insert(hash: number): View<typeof Word> {
    const word = this.#word;
    const bucket = this.#bucketOf(hash);
    word.address = this.#allocate(WORD_BYTES + this.#textLength);
    word.next = bucket.first;
    word.postings = null;
    word.hash = hash;
    word.count = 0;
    word.files = 0;
    word.byteLength = this.#textLength;
    this.#u8.set(this.#text.subarray(0, this.#textLength), word.address + WORD_BYTES);
    bucket.first = word;
    return word;
  }

  #bucketOf(hash: number): View<typeof Bucket> {
    return this.#buckets.at(hash & this.#lastBucket, this.#bucket);
  }

  #hasText(word: View<typeof Word>): boolean {
    const length = this.#textLength;
    if (word.byteLength !== length) return false;
    const start = word.address + WORD_BYTES;
    for (let i = 0; i < length; i++) if (this.#u8[start + i] !== this.#text[i]) return false;
    return true;
  }

  #allocate(size: number): Address {
    const address = this.#heap.alloc(size);
    if (address === NULL) throw new OutOfMemoryError(size, 'the word index does not fit');
    return address;
  }

  /** Writes a word as UTF-8 into `#text`. Returns its hash: FNV-1a, 31 bits, which V8 keeps unboxed. */
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
    return hash >>> 1;
  }

  // ── Reading: any thread, once nothing is added any more ─────────────────────────────────────────

  /** Every word, in no particular order. One view that moves on: it is not to be kept. */
  *words(): Generator<View<typeof Word>> {
    const word = this.#word;
    for (let i = 0; i < this.#buckets.length; i++) {
      let address = this.#buckets.at(i, this.#bucket).addressOf('first');
      while (address !== NULL) {
        word.address = address;
        yield word;
        address = word.addressOf('next');
      }
    }
  }

  /** Where a word comes. One view that moves on. */
  *postingsOf(word: View<typeof Word>): Generator<View<typeof Posting>> {
    const posting = this.#posting;
    const postings = this.#postings;
    let address = word.addressOf('postings');
    while (address !== NULL) {
      postings.address = address;
      for (let i = 0; i < postings.length; i++) {
        posting.address = address + POSTINGS_BYTES + i * POSTING_BYTES;
        yield posting;
      }
      address = postings.addressOf('next');
    }
  }

  /** A word's text. */
  textOf(word: View<typeof Word>): string {
    const start = word.address + WORD_BYTES;
    // A copy: decoders need not take shared bytes.
    return decoder.decode(this.#u8.slice(start, start + word.byteLength));
  }

  // ── Freeing: one thread, once nobody reads any more ─────────────────────────────────────────────

  /**
   * Frees all words and postings, in the order of their addresses: so each merges with those freed just
   * before it, and even a first-fit list has nothing to search. Returns how many blocks that were.
   */
  freeWords(): number {
    const blocks: Address[] = [];
    for (const word of this.words()) {
      blocks.push(word.address);
      for (let postings = word.postings; postings !== null; postings = postings.next) {
        blocks.push(postings.address);
      }
    }
    for (const block of blocks.sort((a, b) => a - b)) this.#heap.free(block);
    return blocks.length;
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
