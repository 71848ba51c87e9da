/**
 * Hand-over: one thread allocates and fills blocks, another checks and frees them, through a row of
 * mailboxes. The first only allocates, the second only frees, for as long as it takes.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, type HeapHandle, NULL } from '../../src/index.ts';
import { payloadFault, stampPayload } from '../../test/stress/payload.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface HandOverJob {
  readonly heap: HeapHandle;
  readonly role: 'producer' | 'consumer';
  readonly meeting: SharedArrayBuffer;
  readonly objects: number;
}

export interface HandOverReport {
  readonly exhausted: number;
  readonly faults: readonly string[];
  readonly refills: number;
  readonly flushes: number;
  /** Locks taken by all threads, when this one was done. */
  readonly lockAcquisitions: number;
}

const SPINS = 1000;

const job = workerData as HandOverJob;
const heap = Heap.attach(job.heap);
const meeting = new Rendezvous(2, job.meeting);
const faults: string[] = [];
let exhausted = 0;

/** Returns when a mailbox is empty, or full. Looks again and again, then naps: the other may have no core. */
function waitUntil(box: number, full: boolean): void {
  for (let spin = 0; (meeting.load(box) !== 0) !== full; spin++) if (spin > SPINS) meeting.pause(0.1);
}

function produce(object: number): void {
  const size = 8 + ((object * 37) % 500);
  let address = heap.alloc(size);
  while (address === NULL) {
    exhausted++;
    meeting.pause(0.1);
    address = heap.alloc(size);
  }
  stampPayload(heap.memory, address, size, object);
  const box = object % meeting.slots;
  waitUntil(box, false);
  meeting.store(box, address / 8);
}

function consume(object: number): void {
  const box = object % meeting.slots;
  waitUntil(box, true);
  const address = (meeting.exchange(box, 0) * 8) as Address;
  const fault = payloadFault(heap.memory, address);
  if (fault !== undefined) faults.push(fault);
  heap.free(address);
}

const act = job.role === 'producer' ? produce : consume;
meeting.meet();
for (let object = 0; object < job.objects; object++) act(object);
meeting.meet();

const { refills = 0, flushes = 0, lockAcquisitions = 0 } = heap.stats();
parentPort!.postMessage({
  exhausted,
  faults: faults.slice(0, 10),
  refills,
  flushes,
  lockAcquisitions,
} satisfies HandOverReport);
