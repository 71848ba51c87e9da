/** The job from end to end: makes the index in three ways, compares, frees. What it finds is a report. */

import { type AllocatorStats, type Heap, HeapCorruptionError } from '../../src/index.ts';
import { countPostings, isSame, type TopWord, topWords } from './comparison.ts';
import { type Corpus, readCorpus } from './corpus.ts';
import type { Crews } from './crew.ts';
import { MessagesRun } from './messages-run.ts';
import type { JobOptions } from './options.ts';
import { PlainRun } from './plain-run.ts';
import { type Timed, type Times, timed } from './run.ts';
import { type Freed, SharedRun } from './shared-run.ts';

/** What `--json` prints. */
export interface Report {
  readonly options: JobOptions;
  readonly node: string;
  readonly files: number;
  readonly bytes: number;
  readonly skipped: { readonly binary: number; readonly unreadable: number; readonly cut: boolean };
  /** Uses of words in all files. */
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

/** How fast an index was made and read. */
export interface Speed extends Times {
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
 * @throws UserError when the user has asked for what cannot be
 */
export async function runJob(options: JobOptions, crews: Crews): Promise<Report> {
  const corpus = readCorpus(options.paths);
  const shared = await timed('one shared heap', corpus, () => SharedRun.start(options, crews));
  const messages = await timed('cloned messages', corpus, () => MessagesRun.start(options, crews));
  await messages.run.stop();
  const plain = await timed('a plain Map', corpus, async () => new PlainRun());
  return report(options, corpus, shared, messages, plain);
}

async function report(
  options: JobOptions,
  corpus: Corpus,
  shared: Timed<SharedRun>,
  messages: Timed<MessagesRun>,
  plain: Timed<PlainRun>,
): Promise<Report> {
  const { heap, index, largestFree } = shared.run;
  const words = plain.uses[0]!;
  const equal = isSame(index, plain.run.index);
  const sizes = { distinctWords: index.size, postings: countPostings(index) };
  const top = topWords(index, options.top);
  const stats = heap.stats();
  const picture = heap.describe();
  const soundFilled = isSound(heap);
  const freed = await shared.run.free();
  const wholeBlock = shared.run.canAllocateAll();
  const after = heap.stats();
  const checks = [
    check('the shared index holds what the plain Map holds', equal),
    check('so does the one made of messages', isSame(messages.run.index, plain.run.index)),
    check(
      'every thread finds as many words',
      [...shared.uses, ...messages.uses].every((uses) => uses === words),
    ),
    check('the heap is sound, with the index in it and without', soundFilled && isSound(heap)),
    check('no block is left', after.liveBlocks === 0),
    check('largestFree is what it was at the start', after.largestFree === largestFree),
    check('one block of that size could be had', wholeBlock),
  ];
  await shared.run.stop();
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

function speed(words: number, { times }: { readonly times: Times }): Speed {
  return { ...times, wordsPerSecond: Math.round((words / times.make) * 1000) };
}

function inputOf({
  files,
  bytes,
  binary,
  unreadable,
  cut,
}: Corpus): Pick<Report, 'files' | 'bytes' | 'skipped'> {
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
