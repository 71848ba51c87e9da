/** Tree reader: opens a parsed tree by its address and reports what it reads; it may replace a branch. */

import { parentPort, workerData } from 'node:worker_threads';
import {
  type Address,
  Heap,
  type HeapHandle,
  SharedVec,
  string,
  struct,
  u32,
  type VecHandle,
  type View,
  vec,
} from '../../src/index.ts';

export interface TreeReaderJob {
  readonly heap: HeapHandle;
  readonly root: Address;
  /** A list of texts that goes on growing here. */
  readonly words: VecHandle;
  readonly more: readonly string[];
}

export interface TreeReaderReport {
  /** The tree in text again. */
  readonly text: string;
  readonly words: readonly unknown[];
  readonly counts: readonly number[];
}

const Node = struct('Node', {
  line: u32,
  name: string,
  get children() {
    return vec(Node);
  },
});

function write(node: View<typeof Node>): string {
  const children = Array.from(node.children, write);
  return children.length === 0 ? node.name : `${node.name}(${children.join(',')})`;
}

const job = workerData as TreeReaderJob;
const heap = Heap.attach(job.heap);
const root = heap.at(Node, job.root);
const text = write(root);
const counts = [root.children.length];
root.children.push({ name: 'added', children: [{ name: 'inside' }] });
root.children.swapRemove(0);
counts.push(root.children.length);
const words = SharedVec.open(heap, job.words);
words.extend(job.more);
parentPort!.postMessage({ text, words: words.toArray(), counts } satisfies TreeReaderReport);
heap.detach();
