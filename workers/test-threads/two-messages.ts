/** Two messages: gets one heap by two messages, and reports whether attaching to both gives the same. */

import { parentPort } from 'node:worker_threads';
import { Heap, type HeapHandle } from '../../src/index.ts';

export interface TwoMessagesReport {
  readonly sameBuffer: boolean;
  readonly sameHeap: boolean;
  readonly sameBytes: boolean;
  readonly byBuffer: boolean;
  readonly slots: number[];
  readonly threads: number;
}

const handles: HeapHandle[] = [];

parentPort!.on('message', (handle: HeapHandle) => {
  if (handles.push(handle) === 2) report(handles[0]!, handles[1]!);
});

function report(first: HeapHandle, second: HeapHandle): void {
  const a = Heap.attach(first);
  const b = Heap.attach(second);
  const address = a.alloc(8);
  a.memory.u32[address / 4] = 4711;
  parentPort!.postMessage({
    sameBuffer: first.buffer === second.buffer,
    sameHeap: a === b,
    sameBytes: new Uint32Array(second.buffer)[address / 4] === 4711,
    byBuffer: Heap.attach(second.buffer) === a,
    slots: [a.threadSlot, b.threadSlot],
    threads: a.threads().length,
  } satisfies TwoMessagesReport);
  parentPort!.close();
}
