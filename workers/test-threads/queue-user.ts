/**
 * Queue user: sends its share of the numbers into a channel or ring, or receives until it is closed and
 * drained. Reports how many, and what it received.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { Channel, type Handle, Heap, type HeapHandle, type Queue, SpscRing, u32 } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface QueueUserJob {
  readonly heap: HeapHandle;
  readonly queue: Handle;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  readonly role: 'send' | 'receive' | 'close';
  /** Sends `first`, `first + step`, … below `end`. */
  readonly first: number;
  readonly step: number;
  readonly end: number;
  /** How many at a time; 1 for `send` and `recv`. */
  readonly batch: number;
}

export interface QueueUserReport {
  /** How many were sent before the end or the close. */
  readonly sent: number;
  readonly received: Uint32Array;
}

const job = workerData as QueueUserJob;
const heap = Heap.attach(job.heap);
const queue: Queue<number> =
  job.queue.kind === 'SpscRing' ? SpscRing.open(heap, job.queue, u32) : Channel.open(heap, job.queue, u32);

function send(): number {
  let sent = 0;
  for (let value = job.first; value < job.end; ) {
    const some: number[] = [];
    for (; some.length < job.batch && value < job.end; value += job.step) some.push(value);
    try {
      const count = job.batch === 1 ? Number(queue.send(some[0]!)) : queue.sendAll(some);
      sent += count;
      if (count < some.length) break;
    } catch (error) {
      if ((error as Error).name === 'ClosedError') break;
      throw error;
    }
  }
  return sent;
}

function receive(): Uint32Array {
  const received: number[] = [];
  if (job.batch === 1) for (const value of queue) received.push(value);
  else
    for (let some = queue.recvMany(job.batch); some.length > 0; some = queue.recvMany(job.batch)) {
      received.push(...some);
    }
  return Uint32Array.from(received);
}

new Rendezvous(job.parties, job.meeting).meet();
let sent = 0;
let received = new Uint32Array();
if (job.role === 'send') sent = send();
else if (job.role === 'receive') received = receive() as typeof received;
else {
  new Rendezvous(1).pause(job.first);
  queue.close();
}
queue.release();
parentPort!.postMessage({ sent, received } satisfies QueueUserReport);
