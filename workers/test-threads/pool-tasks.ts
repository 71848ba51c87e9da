/** Tasks for the tests of the piscina adapter. */

import { threadId, workerData } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { type Address, atomic, f64, i32, struct } from '../../src/index.ts';
import { currentHeap } from '../../src/threads/piscina.ts';

/** What the tasks and the test share. */
export const Point = struct('Point', { x: f64, y: f64, visits: atomic(i32) });

/** Piscina loads this module before the first task. */
const early = currentHeap();

/** Visits a point, and answers with a new one. */
export default function visit(address: Address): Address {
  const heap = currentHeap();
  const point = heap.at(Point, address);
  point.visits.add(1);
  return heap.new(Point, { x: point.x + 1, y: point.y + 1 }).address;
}

/** Who a worker is. */
export interface Identity {
  readonly threadId: number;
  readonly slot: number;
  readonly heapId: string;
  /** Whether the module found the same heap at its top level. */
  readonly early: boolean;
  readonly workerData: object;
  readonly piscinaData: object;
  readonly argv: readonly string[];
  readonly fruit: string | undefined;
}

/** What a worker finds around it. */
export function identify(): Identity {
  const { heap: _, ...rest } = workerData;
  const { heap: __, ...piscinaRest } = Piscina.workerData;
  return {
    threadId,
    slot: currentHeap().threadSlot,
    heapId: currentHeap().id,
    early: early === currentHeap(),
    workerData: rest,
    piscinaData: piscinaRest,
    argv: process.argv.slice(2),
    fruit: process.env.FRUIT,
  };
}

/** Counts up for ever: until its thread is ended. */
export function spin(address: Address): never {
  const { visits } = currentHeap().at(Point, address);
  for (;;) visits.add(1);
}

/** Lets the event loop turn before it goes on. */
export async function visitLater(address: Address): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve));
  return currentHeap().at(Point, address).visits.add(1);
}

/** Detaches, and attaches again. */
export function reattach(): boolean {
  const before = currentHeap();
  before.detach();
  const after = currentHeap();
  return after !== before && after === currentHeap();
}
