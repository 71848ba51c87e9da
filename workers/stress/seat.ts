/** Seats: where the referee and each worker in turn meet. A worker that died is followed by another. */

import { atomic, struct, u32 } from '../../src/index.ts';
import type { ScenarioName } from './scenarios.ts';

/** What the worker is told, and what it has done. `lock` is its own: who holds one keeps its thread slot. */
export const Seat = struct('StressSeat', {
  order: atomic(u32),
  operations: atomic(u32),
  lock: u32,
  nextHeld: u32,
});

/** Orders, in a seat's `order`. */
export const GO_ON = 0;
export const EXIT = 1;
export const THROW = 2;
export const EXHAUST = 3;
export const LEAVE = 4;

/** What a worker that was told to throw throws. */
export const ORDERED = 'thrown because the referee said so';

/** What a worker starts with. */
export interface StresserData {
  readonly heap: { readonly kind: 'sabheap'; readonly id: string; readonly buffer: SharedArrayBuffer };
  readonly seats: ReturnType<typeof Seat.array>['handle'];
  readonly seat: number;
  readonly seed: number;
  /** The handles that the scenarios' `create` gave. */
  readonly scenarios: readonly (readonly [ScenarioName, object])[];
}

/** What a worker says when it has left. */
export interface StresserReport {
  readonly operations: number;
}
