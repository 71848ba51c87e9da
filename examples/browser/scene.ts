/**
 * What the page and its workers share: the layout of the flock in the heap, and who moves which part.
 *
 *     boids     two arrays. In step n all read `boids[n & 1]` and each worker writes its share of the other one,
 *               so that a share whose worker died half way is simply moved again
 *     shares    one for each worker: from which boid to which, and the last step that it has done
 *     clock     the step that the page wants. Workers sleep on it; the next one comes when all have done it
 *     flock     sums over all boids, behind a mutex that every worker takes once a step
 */

import {
  type Access,
  type Address,
  atomic,
  f32,
  f64,
  Heap,
  type HeapHandle,
  i32,
  KiB,
  Mutex,
  type MutexHandle,
  type StructArrayHandle,
  struct,
  u32,
} from 'sabheap';

/** The sky, in its own units. */
export const WIDTH = 1600;
export const HEIGHT = 800;

export const BOIDS = 3200;
export const WORKERS = 4;
export const HEAP_BYTES = 640 * KiB;

export const Boid = struct('Boid', { x: f32, y: f32, vx: f32, vy: f32 });

export const Share = struct('Share', {
  from: u32,
  to: u32,
  /** The worker's thread slot in the heap; 0 while there is none. */
  slot: u32,
  /** How long the last step took, in ms. */
  ms: f32,
  /** The last step that is done. */
  done: atomic(i32),
});

export const Clock = struct('Clock', {
  step: atomic(i32),
  /** The share whose worker is to stop with the mutex in its hands, plus 1; negative once it has. */
  hostage: atomic(i32),
  /** What the boids flee from; below 0 there is none. */
  hawkX: f32,
  hawkY: f32,
});

/** Sums of one step, and the mean of the last one that was complete. */
export const Flock = struct('Flock', {
  step: i32,
  members: u32,
  x: f64,
  y: f64,
  vx: f64,
  vy: f64,
  speed: f64,
  meanX: f64,
  meanY: f64,
  /** 1 when all fly the same way, near 0 when each goes its own. */
  order: f64,
  /** How often it was locked. */
  turns: u32,
  /** How often its lock was taken over from a thread that had died. */
  takeovers: u32,
});

/** The flock's sums as who holds the mutex sees them. */
export type Sums = Access<typeof Flock>;

/** Puts the sums right after their last owner died with the mutex: members and sums may not belong together. */
export function beginAnew(all: Sums): void {
  all.set({ members: 0, x: 0, y: 0, vx: 0, vy: 0, speed: 0, takeovers: all.takeovers + 1 });
}

/** What a worker is told: a few hundred bytes, however large the flock. */
export interface Orders {
  readonly heap: HeapHandle;
  readonly boids: readonly StructArrayHandle<'columns'>[];
  readonly shares: StructArrayHandle;
  readonly flock: MutexHandle<typeof Flock>;
  readonly clock: Address;
  /** Which share is the worker's. */
  readonly index: number;
}

/** The same, as one thread sees it. */
export type Scene = ReturnType<typeof openScene>;

/** Makes the heap and the flock in it. */
export function createScene() {
  const heap = Heap.create({ byteLength: HEAP_BYTES, maxThreads: 16 });
  const boids = [0, 1].map(() => Boid.array(heap, BOIDS, { layout: 'columns' }));
  const shares = Share.array(heap, WORKERS);
  const clock = heap.new(Clock, { hawkX: -1, hawkY: -1 });
  heap.share(clock.address); // its address goes to the workers
  const flock = Mutex.create(heap, Flock, { meanX: WIDTH / 2, meanY: HEIGHT / 2 });

  for (let index = 0; index < WORKERS; index++) {
    const share = shares.at(index);
    share.from = (index * BOIDS) / WORKERS;
    share.to = share.from + BOIDS / WORKERS;
    share.done.store(-1); // step 0 is to be done
    for (let i = share.from; i < share.to; i++) boids[0]!.at(i).set(somewhereIn(index));
  }
  const orders = (index: number): Orders => ({
    heap: heap.handle,
    boids: boids.map((array) => array.handle),
    shares: shares.handle,
    flock: flock.handle,
    clock: clock.address,
    index,
  });
  return { heap, orders };
}

/** Each share begins as a flock of its own; they soon mingle. */
function somewhereIn(index: number): { x: number; y: number; vx: number; vy: number } {
  const angle = Math.random() * 2 * Math.PI;
  const distance = Math.sqrt(Math.random()) * HEIGHT * 0.2;
  const turn = ((index + 0.5) / WORKERS) * 2 * Math.PI;
  return {
    x: WIDTH * (0.5 + Math.cos(turn) * 0.25) + Math.cos(angle) * distance,
    y: HEIGHT * (0.5 + Math.sin(turn) * 0.25) + Math.sin(angle) * distance,
    vx: -Math.sin(turn) * 2.5,
    vy: Math.cos(turn) * 2.5,
  };
}

/** Opens what another thread has made. */
export function openScene({ heap: handle, boids, shares, flock, clock }: Omit<Orders, 'index'>) {
  const heap = Heap.attach(handle);
  return {
    heap,
    /** Typed arrays over the shared bytes. */
    boids: boids.map((array) => {
      const columns = Boid.arrayAt(heap, array);
      return {
        x: columns.column('x'),
        y: columns.column('y'),
        vx: columns.column('vx'),
        vy: columns.column('vy'),
      };
    }),
    shares: Array.from(Share.arrayAt(heap, shares)),
    flock: Mutex.open(heap, flock),
    clock: heap.at(Clock, clock),
  };
}
