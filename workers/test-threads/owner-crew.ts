/**
 * Owner crew: threads that share Arcs, race for Boxes and pass Boxes on. Reports how many Boxes it got.
 */

import { parentPort, workerData } from 'node:worker_threads';
import {
  Arc,
  type ArcHandle,
  Box,
  type BoxHandle,
  box,
  Heap,
  type HeapHandle,
  Rc,
  struct,
  u32,
  type Weak,
} from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface OwnerCrewJob {
  readonly heap: HeapHandle;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  readonly act: 'count' | 'race' | 'pass' | 'strayRc';
  /** count: what to clone and drop, and how often. */
  readonly arc?: ArcHandle;
  readonly rounds?: number;
  /** race: what to open. */
  readonly boxes?: readonly BoxHandle[];
  /** strayRc: where another thread's Rc lies. */
  readonly address?: number;
}

export interface OwnerCrewReport {
  readonly received: number;
  readonly error?: string;
}

const Part = struct('Part', {
  value: u32,
  get next() {
    return box(Part);
  },
});

const job = workerData as OwnerCrewJob;
const meeting = new Rendezvous(job.parties, job.meeting);
const heap = Heap.attach(job.heap);

/** Clones and drops, some of it by way of Weaks, always with a few in hand. */
function count(): OwnerCrewReport {
  const mine = Arc.open(heap, job.arc!, Part);
  const kept: Arc<typeof Part>[] = [];
  const links: Weak<typeof Part>[] = [];
  meeting.meet();
  for (let round = 0; round < job.rounds!; round++) {
    if (round % 8 === 0) links.push(mine.downgrade());
    kept.push(round % 8 === 1 ? links[0]!.upgrade()! : mine.clone());
    if (kept.length > 10) kept.shift()!.drop();
    if (links.length > 4) links.shift()!.drop();
    if (mine.value.next!.value !== 2) throw new Error('what the Arc owns was dropped');
  }
  for (const each of [...kept, ...links, mine]) each.drop();
  return { received: 0 };
}

/** Opens each Box at the same moment as the others do; drops what it got. */
function race(): OwnerCrewReport {
  let received = 0;
  for (const handle of job.boxes!) {
    meeting.meet();
    try {
      const box = Box.open(heap, handle, Part);
      received++;
      if (box.value.next!.value !== 2) throw new Error('half a Box arrived');
      box.drop();
    } catch (error) {
      if (!/received already|destroyed since|lies/.test((error as Error).message)) throw error;
    }
  }
  return { received };
}

/** Adds 1 to whatever comes, and gives it the next part; passes it on. `null` ends it. */
function pass(): void {
  let received = 0;
  parentPort!.on('message', (handle: BoxHandle | null) => {
    if (handle === null) {
      parentPort!.postMessage({ received } satisfies OwnerCrewReport);
      parentPort!.close();
      return;
    }
    const came = Box.open(heap, handle, Part);
    received++;
    const front = Box.create(heap, Part, { value: came.value.value + 1 });
    front.value.set({ next: came });
    parentPort!.postMessage(front.move());
  });
}

function strayRc(): OwnerCrewReport {
  try {
    Rc.fromAddress(heap, job.address! as never, Part);
    return { received: 1 };
  } catch (error) {
    return { received: 0, error: `${(error as Error).name}: ${(error as Error).message}` };
  }
}

const acts = { count, race, strayRc };
if (job.act === 'pass') pass();
else parentPort!.postMessage(acts[job.act]());
