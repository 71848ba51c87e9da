/** A casualty with a thread of its own. Falls at once, or when its parent sends the word. */

import { parentPort, workerData } from 'node:worker_threads';
import { Heap, type HeapHandle } from '../../src/index.ts';
import { type CasualtyJob, fall } from './casualty.ts';

export interface CasualtyThreadJob extends CasualtyJob {
  readonly heap: HeapHandle;
  /** Whether it waits for a message first, so that its event loop has begun to turn. */
  readonly onMessage: boolean;
}

const job = workerData as CasualtyThreadJob;
const start = (): unknown => fall(Heap.attach(job.heap), job);
if (job.onMessage) parentPort!.once('message', start);
// Not in the module's first run: Deno never ends a thread that is in there.
else setImmediate(start);
