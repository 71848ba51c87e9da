/**
 * The same job without shared memory: each worker sends the index of its share as a structured clone,
 * which the main thread merges while the workers go on.
 */

import { Piscina } from 'piscina';
import { bytesOf, type Corpus, shareOut, type TextFile } from './corpus.ts';
import type { PlainIndex } from './plain-index.ts';
import type { Progress } from './progress.ts';

/** An index that came in messages, and the threads that sent it. */
export interface MessagesRun {
  readonly index: PlainIndex;
  readonly pool: Piscina;
}

/** Indexes everything with `threads` workers. */
export async function runByMessages(
  corpus: Corpus,
  threads: number,
  progress: Progress,
): Promise<MessagesRun> {
  const pool = new Piscina<readonly TextFile[], PlainIndex>({
    filename: new URL('clone-task.js', import.meta.url).href,
    minThreads: threads,
    maxThreads: threads,
  });
  const index: PlainIndex = new Map();
  const indexShare = async (share: readonly TextFile[]): Promise<void> => {
    merge(index, await pool.run(share));
    progress.add(bytesOf(share));
  };
  await Promise.all(shareOut(corpus, threads).map(indexShare));
  return { index, pool };
}

function merge(into: PlainIndex, index: PlainIndex): void {
  for (const [word, postings] of index) {
    const known = into.get(word);
    if (known === undefined) into.set(word, postings);
    else for (const number of postings) known.push(number);
  }
}
