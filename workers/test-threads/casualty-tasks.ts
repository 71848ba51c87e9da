/** Casualties among the threads of a pool. */

import { struct, u32 } from '../../src/index.ts';
import { currentHeap } from '../../src/threads/piscina.ts';
import { type CasualtyJob, fall } from './casualty.ts';

export default function task(job: CasualtyJob): unknown {
  return fall(currentHeap(), job);
}

const Visit = struct('Visit', { count: u32 });

/** Leaves a block in the worker's hands, and answers with the worker's slot. */
export function keep(count: number): number {
  const heap = currentHeap();
  heap.new(Visit, { count });
  return heap.threadSlot;
}
