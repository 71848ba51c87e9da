/** The job from end to end: indexes three times, compares, frees. What it finds is a report. */

import { type AllocatorStats, type Heap, HeapCorruptionError } from '../../src/index.ts';
import { runByMessages } from './clone-job.ts';
import { compare, isSame, type TopWord, topWords } from './comparison.ts';
import { type Corpus, readCorpus } from './corpus.ts';
import type { JobOptions } from './options.ts';
import { runPlain } from './plain-index.ts';
import { type Progress, startProgress } from './progress.ts';
import { canAllocate, type Freed, freeAll, runShared } from './shared-job.ts';

/** What `--json` prints. */
export interface Report {
  readonly options: JobOptions;
  readonly node: string;
  readonly files: number;
  readonly bytes: number;
  readonly skipped: { readonly binary: number; readonly unreadable: number; readonly cut: boolean };
  /** Words in all files, each as often as it comes. */
  readonly words: number;
  readonly distinctWords: number;
  readonly postings: number;
  readonly top: readonly TopWord[];
  /** The same index made in three ways. */
  readonly runs: { readonly shared: Speed; readonly messages: Speed; readonly plain: Speed };
  /** The heap with the index in it. */
  readonly stats: AllocatorStats;
  readonly picture: string;
  readonly freed: Freed;
  readonly largestFree: { readonly before: number; readonly after: number };
  readonly checks: readonly Check[];
}

/** How fast an index was made. */
export interface Speed {
  /** From before the first thread is started until the main thread has an index to read. */
  readonly milliseconds: number;
  readonly wordsPerSecond: number;
}

/** Something that must be so. */
export interface Check {
  readonly claim: string;
  readonly holds: boolean;
}

/**
 * Runs the job.
 *
 * @throws JobError when the user has asked for what cannot be
 */
export async function runJob(options: JobOptions): Promise<Report> {
  const corpus = readCorpus(options.paths);
  const run = timedRuns(corpus);
  const shared = await run('one shared heap', (progress) => runShared(corpus, options, progress));
  const messages = await run('cloned messages', (progress) => runByMessages(corpus, options.threads, progress));
  await messages.result.pool.destroy();
  const plain = await run('a plain Map', (progress) => runPlain(corpus, progress));

  const { heap, index, words, largestFree, pool } = shared.result;
  const { equal, ...sizes } = compare(index, plain.result.index);
  const top = topWords(index, options.top);
  const stats = heap.stats();
  const picture = heap.describe();
  const sound = isSound(heap);
  const freed = await freeAll(shared.result);
  const after = heap.stats();
  const checks = [
    check('the shared index holds what the plain Map holds', equal && words === plain.result.words),
    check('the cloned messages came to the same index', isSame(messages.result.index, plain.result.index)),
    check('the heap is sound, with the index in it and without', sound && isSound(heap)),
    check('no block is left', after.liveBlocks === 0),
    check('largestFree is what it was at the start', after.largestFree === largestFree),
    check('one block of that size can be had', canAllocate(heap, largestFree)),
  ];
  await pool.destroy();
  return {
    options,
    node: process.version,
    ...inputOf(corpus),
    words,
    ...sizes,
    top,
    runs: { shared: speed(words, shared), messages: speed(words, messages), plain: speed(words, plain) },
    stats,
    picture,
    freed,
    largestFree: { before: largestFree, after: after.largestFree },
    checks,
  };
}

interface Timed<R> {
  readonly result: R;
  readonly milliseconds: number;
}

/** Runs with a progress bar and a stopwatch. */
function timedRuns(corpus: Corpus) {
  return async <R>(label: string, fn: (progress: Progress) => R | Promise<R>): Promise<Timed<R>> => {
    const progress = startProgress(label, corpus.bytes);
    try {
      const began = performance.now();
      const result = await fn(progress);
      return { result, milliseconds: performance.now() - began };
    } finally {
      progress.stop();
    }
  };
}

function speed(words: number, { milliseconds }: { readonly milliseconds: number }): Speed {
  return { milliseconds, wordsPerSecond: Math.round((words / milliseconds) * 1000) };
}

function inputOf({ files, bytes, binary, unreadable, cut }: Corpus): Pick<Report, 'files' | 'bytes' | 'skipped'> {
  return { files: files.length, bytes, skipped: { binary, unreadable, cut } };
}

function check(claim: string, holds: boolean): Check {
  return { claim, holds };
}

function isSound(heap: Heap): boolean {
  try {
    heap.verify();
    return true;
  } catch (error) {
    if (error instanceof HeapCorruptionError) return false;
    throw error;
  }
}
