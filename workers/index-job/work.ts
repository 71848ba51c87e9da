/**
 * How the files get to the workers of the shared run: by two channels in the heap.
 *
 *     main thread ── shares: { bytes: 84,112, files: [7, 12, 3] } ──▶ whichever worker is free first
 *                 ◀───────── done: 84,112 ─────────────────────────── when the words of these are in the index
 *
 * The paths lie in a list beside them, which every thread may read. No message between the threads carries
 * more than handles, which take a few bytes however large what they stand for.
 */

import {
  Channel,
  type ChannelHandle,
  f64,
  type Heap,
  SharedVec,
  string,
  struct,
  u32,
  type VecHandle,
  vec,
} from '../../src/index.ts';
import { bytesOf, type Corpus, shareOut } from './corpus.ts';

/** Some files by their numbers. It owns the list: who receives a share has that freed. */
export const Share = struct('Share', { bytes: f64, files: vec(u32) });

/** What a worker is told. */
export interface Work {
  /** The path of each file, by number. */
  readonly paths: VecHandle<typeof string>;
  readonly shares: ChannelHandle;
  /** Bytes of the shares whose words are in the index. */
  readonly done: ChannelHandle<number>;
}

/**
 * Lays out all that is to be done; nothing comes after it.
 *
 * @throws OutOfMemoryError when the heap is too small
 */
export function layOutWork(heap: Heap, corpus: Corpus, threads: number): Work {
  const paths = SharedVec.create(
    heap,
    string,
    corpus.files.map(({ path }) => path),
  );
  const list = shareOut(corpus, threads).map((files) => ({
    bytes: bytesOf(files),
    files: files.map(({ number }) => number),
  }));
  // Room for all: no sender ever waits.
  const shares = Channel.create(heap, Share, { capacity: list.length });
  const done = Channel.create(heap, f64, { capacity: list.length });
  shares.sendAll(list);
  shares.close();
  return { paths: paths.handle, shares: shares.handle, done: done.handle };
}

/** Frees what was laid out: one thread, once nobody uses it any more. */
export function freeWork(heap: Heap, { paths, shares, done }: Work): void {
  SharedVec.open(heap, paths).destroy();
  Channel.open(heap, shares, Share).destroy();
  Channel.open(heap, done).destroy();
}
