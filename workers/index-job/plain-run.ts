/** The same index in one thread, which needs no other. */

import type { Corpus } from './corpus.ts';
import { addFile, countUses, type PlainIndex } from './plain-index.ts';
import type { Progress } from './progress.ts';
import type { Run } from './run.ts';

/** Makes the index in the main thread. */
export class PlainRun implements Run {
  readonly index: PlainIndex = new Map();

  async make({ files }: Corpus, progress: Progress): Promise<void> {
    for (const file of files) {
      addFile(this.index, file);
      progress.add(file.bytes);
    }
  }

  async read(): Promise<number[]> {
    return [countUses(this.index)];
  }

  async stop(): Promise<void> {}
}
