/**
 * A plain worker thread of a crew: does one task after the other. Between two it rests: what it keeps for
 * its next allocations can be taken back by a thread that runs out of room.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { Heap, type HeapHandle } from '../../src/index.ts';
import { messagesTasks } from './messages-tasks.ts';
import { sharedTasks } from './shared-tasks.ts';
import type { Answer, Task } from './threads.ts';

const { heap: handle } = workerData as { readonly heap?: HeapHandle };
const heap = handle && Heap.attach(handle);
const tasks = (heap === undefined ? messagesTasks : sharedTasks) as Readonly<
  Record<string, (task: unknown, heap?: Heap) => unknown>
>;

parentPort!.on('message', (task: Task) => parentPort!.postMessage(answerTo(task)));

function answerTo({ name, task }: Task): Answer {
  heap?.resume();
  try {
    return { result: tasks[name]!(task, heap) };
  } catch (error) {
    return { error };
  } finally {
    heap?.rest();
  }
}
