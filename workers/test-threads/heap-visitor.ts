/**
 * Heap visitor: a thread that attaches to a heap, does one act there and ends. What it learns is its
 * report; what has to be known while it is still at it goes through the words of the meeting.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, type HeapHandle, NULL, struct, toAddress, u32 } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';
import { STEP, WORD } from '../../test/stress/steps.ts';

export interface HeapVisitorJob {
  readonly heap: HeapHandle;
  readonly act: keyof typeof acts;
  readonly meeting: SharedArrayBuffer;
  /** An address in the heap, where the act wants one. */
  readonly address?: number;
}

/** What the roots of the acts stand for. */
const Cell = struct('Cell', { threadId: u32, value: u32 });

const BLOCKS = 10;

const acts = {
  /** Leaves live blocks, a full cache, a root and a default heap behind, and ends by itself. */
  leave(heap: Heap): number[] {
    Heap.setDefault(heap);
    const kept = Array.from({ length: BLOCKS }, () => heap.alloc(100));
    const freed = Array.from({ length: BLOCKS }, () => heap.alloc(100));
    for (const address of freed) heap.free(address);
    heap.roots.set('left behind', kept[0]!);
    return [heap.threadSlot, ...kept];
  },

  /** The same by process.exit, and again after having rested. */
  exit(heap: Heap): never {
    meeting.announce(WORD, acts.leave(heap)[0]!);
    return process.exit(0);
  },

  exitAtRest(heap: Heap): never {
    const [slot] = acts.leave(heap);
    heap.rest();
    meeting.announce(WORD, slot!);
    meeting.announce(STEP, 1);
    meeting.await(STEP, 2);
    return process.exit(0);
  },

  exitWithLock(heap: Heap): never {
    heap.lock(toAddress(job.address!)).acquire();
    meeting.announce(WORD, acts.leave(heap)[0]!);
    return process.exit(0);
  },

  throwWithLock(heap: Heap): never {
    meeting.announce(WORD, heap.threadSlot);
    heap.lock(toAddress(job.address!)).acquire();
    throw new Error('dropped on purpose');
  },

  /** Stays until it is terminated. */
  stay(heap: Heap): never {
    acts.leave(heap);
    meeting.announce(STEP, 1);
    for (;;) meeting.pause(1000);
  },

  /** Allocates, resizes and frees until it is terminated, wherever in it. */
  churn(heap: Heap): never {
    const live: Address[] = [];
    meeting.announce(STEP, 1);
    for (let turn = 0; ; turn++) {
      const address = heap.alloc((turn * 37) % 500);
      if (address !== NULL) live.push(address);
      if (turn % 3 === 0 && live.length > 0) heap.resize(live.at(-1)!, (turn * 13) % 300);
      while (live.length > 50) heap.free(live.splice(turn % live.length, 1)[0]!);
    }
  },

  /** Which error an attach ends with. */
  attach(): string {
    return 'attached';
  },

  /** Makes a root, but only once told to. */
  makeSlowly(heap: Heap): number {
    const cell = heap.roots.openOrCreate('cell', Cell, () => {
      meeting.announce(STEP, 1);
      meeting.await(STEP, 2);
      return heap.new(Cell, { threadId: heap.threadSlot, value: 7 });
    });
    return cell.address;
  },

  /** Fails to make a root, but only once told to. */
  makeInVain(heap: Heap): string {
    try {
      heap.roots.openOrCreate('cell', Cell, () => {
        meeting.announce(STEP, 1);
        meeting.await(STEP, 2);
        meeting.pause(20);
        throw new Error('made in vain');
      });
    } catch (error) {
      return (error as Error).message;
    }
    return 'made after all';
  },

  /** Makes a root when it is the first, opens it otherwise. */
  make(heap: Heap): number {
    return heap.roots.openOrCreate('cell', Cell, () => heap.new(Cell, { value: 8 })).address;
  },

  /** Fills its cache, rests, and goes back to work once told to. */
  rest(heap: Heap): { readonly drained: number; readonly after: number[] } {
    const fill = () => Array.from({ length: 2000 }, (_, i) => heap.alloc(16 + (i % 120) * 8));
    for (const address of fill()) heap.free(address);
    const kept = heap.alloc(40);
    const cached = heap.stats().cached ?? 0;
    heap.rest();
    meeting.announce(WORD, cached);
    meeting.announce(STEP, 1);
    meeting.await(STEP, 2);
    heap.resume();
    const after: Address[] = [];
    for (const address of fill()) if (address !== NULL) after.push(address);
    for (const address of after) heap.free(address);
    heap.free(kept);
    heap.verify();
    return { drained: cached, after };
  },
} satisfies Record<string, (heap: Heap) => unknown>;

const job = workerData as HeapVisitorJob;
const meeting = new Rendezvous(2, job.meeting);

/** Attaches and acts; an attach that is refused is reported by its error's name. */
function visit(): unknown {
  let heap: Heap;
  try {
    heap = Heap.attach(job.heap);
  } catch (error) {
    return (error as Error).name;
  }
  return acts[job.act](heap);
}

const report = visit();
parentPort!.postMessage(report);
