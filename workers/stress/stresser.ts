/** A worker of the stress run: plays its part in all scenarios until it is told to leave, or to die. */

import { parentPort, workerData } from 'node:worker_threads';
import { Heap, type Lock, toAddress } from '../../src/index.ts';
import { type Part, randomFrom } from './scenario.ts';
import { scenarioNamed } from './scenarios.ts';
import {
  EXHAUST,
  EXIT,
  GO_ON,
  LEAVE,
  ORDERED,
  Seat,
  type StresserData,
  type StresserReport,
  THROW,
} from './seat.ts';

const data = workerData as StresserData;
const heap = Heap.attach(data.heap);
const seats = Seat.arrayAt(heap, data.seats);
const seat = seats.at(data.seat);
/** Who ends by itself holds it: it leaves its slot as it is, as one that is terminated does. */
const own: Lock = heap.lock(toAddress(seat.address + Seat.offsetOf('lock')));
const random = randomFrom(data.seed);
const parts: Part[] = data.scenarios.map(([name, handle]) => {
  return scenarioNamed(name).join({ heap, random, halfway }, handle);
});
const STEPS = 16;
let operations = 0;

/** Dies here in every fourth case, if it was told to: by process.exit, which runs nothing on the way out. */
function halfway(): void {
  if (seat.order.load() !== EXIT || random(4) > 0) return;
  own.tryAcquire();
  process.exit(0);
}

/** Dies between two operations, with what it takes for it in its hands. */
function die(order: number): void {
  own.tryAcquire();
  parts[random(parts.length)]!.hold?.();
  if (order === EXIT) process.exit(0);
  if (order === THROW) throw new Error(ORDERED);
  // Large pieces: of small ones V8 moves so many at once that it ends the process instead of the worker.
  for (const kept: number[][] = []; ; ) kept.push(new Array<number>(100_000).fill(kept.length + 0.5));
}

for (let order = GO_ON; order !== LEAVE; order = seat.order.load()) {
  if (order !== GO_ON && (order === EXHAUST || random(8) === 0)) die(order);
  for (let i = 0; i < STEPS; i++) parts[random(parts.length)]!.step();
  operations += STEPS;
  seat.operations.store(operations);
}
for (const part of parts) part.leave();
heap.detach();
parentPort!.postMessage({ operations } satisfies StresserReport);
