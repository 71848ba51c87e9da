/**
 * A worker thread: moves its share of the flock, step by step, until somebody ends it.
 *
 * Each boid steers by those that were near it of late. Who they are is looked up now and then, and kept in a
 * block of the heap, as long as there are neighbours: some thousand blocks that come and go all the time.
 * They are this thread's own: when it dies, who reaps it frees them.
 */

import { type Address, NULL, watchable } from 'sabheap';
import { beginAnew, HEIGHT, type Orders, openScene, type Scene, type Sums, WIDTH } from './scene.ts';

/** Every so many steps a boid looks around. */
const LOOKS_EVERY = 20;
const MOST_NEIGHBOURS = 20;
const SIGHT = 36;
const TOO_CLOSE = 13;
const HAWK_RANGE = 170;
const SLOWEST = 1.6;
const FASTEST = 4.2;
const MARGIN = 90;

/** Moves one share. */
class Mover {
  readonly #scene: Scene;
  readonly #index: number;
  readonly #share: Scene['shares'][number];
  /** For each boid of the share: where the list of its neighbours lies. */
  readonly #lists: Address[] = [];
  readonly #mean = { x: WIDTH / 2, y: HEIGHT / 2 };
  readonly #sums = { x: 0, y: 0, vx: 0, vy: 0, speed: 0 };
  readonly #push = { x: 0, y: 0 };

  constructor(scene: Scene, index: number) {
    this.#scene = scene;
    this.#index = index;
    this.#share = scene.shares[index]!;
    this.#share.slot = scene.heap.threadSlot;
  }

  /** Never returns: the page ends a worker by `terminate()`. */
  run(): never {
    const { clock } = this.#scene;
    const share = this.#share;
    // What another worker has done before it died need not be done again.
    let step = share.done.load();
    for (;;) {
      clock.step.wait(step); // sleeps while the page wants no other step
      step = clock.step.load();
      const began = performance.now();
      this.#move(step);
      this.#report(step);
      share.ms = performance.now() - began;
      share.done.store(step);
    }
  }

  #move(step: number): void {
    const [now, next] = [this.#scene.boids[step & 1]!, this.#scene.boids[(step + 1) & 1]!];
    const { from, to } = this.#share;
    const sums = this.#sums;
    sums.x = sums.y = sums.vx = sums.vy = sums.speed = 0;
    for (let i = from; i < to; i++) {
      if (this.#lists[i] === undefined || (i + step) % LOOKS_EVERY === 0) this.#lookAround(now, i);
      this.#steer(now, i);
      const vx = now.vx[i]! + this.#push.x;
      const vy = now.vy[i]! + this.#push.y;
      const speed = Math.hypot(vx, vy) || 1;
      const pace = Math.min(Math.max(speed, SLOWEST), FASTEST) / speed;
      next.vx[i] = vx * pace;
      next.vy[i] = vy * pace;
      next.x[i] = now.x[i]! + vx * pace;
      next.y[i] = now.y[i]! + vy * pace;
      sums.x += next.x[i]!;
      sums.y += next.y[i]!;
      sums.vx += vx * pace;
      sums.vy += vy * pace;
      sums.speed += speed * pace;
    }
  }

  /** Lists the boids near the one at `i`: a block with their number, then their indexes. */
  #lookAround({ x, y }: Scene['boids'][number], i: number): void {
    const { heap } = this.#scene;
    const near: number[] = [];
    // From a different place each time: otherwise the first boids would be everybody's friends.
    const start = Math.floor(Math.random() * x.length);
    for (let n = 0; n < x.length && near.length < MOST_NEIGHBOURS; n++) {
      const j = (start + n) % x.length;
      const dx = x[j]! - x[i]!;
      const dy = y[j]! - y[i]!;
      if (dx * dx + dy * dy < SIGHT * SIGHT && j !== i) near.push(j);
    }
    heap.free(this.#lists[i] ?? NULL);
    const list = heap.alloc((1 + near.length) * Uint32Array.BYTES_PER_ELEMENT);
    this.#lists[i] = list;
    if (list === NULL) return; // the heap is full: it flies alone for a while
    const words = list >>> 2;
    heap.memory.u32[words] = near.length;
    heap.memory.u32.set(near, words + 1);
  }

  /** Stay together, fly the same way, keep your distance. */
  #steer({ x, y, vx, vy }: Scene['boids'][number], i: number): void {
    const { heap, clock } = this.#scene;
    const { u32 } = heap.memory;
    const list = this.#lists[i]!;
    const count = list === NULL ? 0 : u32[list >>> 2]!;
    const myX = x[i]!;
    const myY = y[i]!;
    let sumX = 0;
    let sumY = 0;
    let sumVx = 0;
    let sumVy = 0;
    let awayX = 0;
    let awayY = 0;
    for (let n = 1; n <= count; n++) {
      const j = u32[(list >>> 2) + n]!;
      const dx = x[j]! - myX;
      const dy = y[j]! - myY;
      const distance2 = dx * dx + dy * dy;
      sumX += dx;
      sumY += dy;
      sumVx += vx[j]!;
      sumVy += vy[j]!;
      if (distance2 > TOO_CLOSE * TOO_CLOSE) continue;
      awayX -= dx / (distance2 + 1);
      awayY -= dy / (distance2 + 1);
    }
    const push = this.#push;
    push.x = awayX * 0.9 + (this.#mean.x - myX) * 0.00004 + wall(myX, WIDTH);
    push.y = awayY * 0.9 + (this.#mean.y - myY) * 0.00004 + wall(myY, HEIGHT);
    if (count > 0) {
      push.x += (sumX / count) * 0.0012 + (sumVx / count - vx[i]!) * 0.07;
      push.y += (sumY / count) * 0.0012 + (sumVy / count - vy[i]!) * 0.07;
    }
    const { hawkX, hawkY } = clock;
    if (hawkX < 0) return;
    const fromX = myX - hawkX;
    const fromY = myY - hawkY;
    const fear = Math.max(0, 1 - Math.hypot(fromX, fromY) / HAWK_RANGE);
    push.x += fromX * fear * 0.012;
    push.y += fromY * fear * 0.012;
  }

  /** Adds this share's sums to the flock's, and learns where the flock was one step before. */
  #report(step: number): void {
    const { flock, clock } = this.#scene;
    const { x, y, vx, vy, speed } = this.#sums;
    flock.with((all, { recovered }) => {
      if (recovered) beginAnew(all);
      all.turns += 1;
      if (step < all.step) return; // it was told to end, runs on, and is late
      if (step > all.step) beginStep(all, step);
      all.members += this.#share.to - this.#share.from;
      if (clock.hostage.load() === this.#index + 1) this.#stopHere();
      all.x += x;
      all.y += y;
      all.vx += vx;
      all.vy += vy;
      all.speed += speed;
      this.#mean.x = all.meanX;
      this.#mean.y = all.meanY;
    });
  }

  /** The page wants to see what a death does here: half of a change is made, and the lock is held. */
  #stopHere(): never {
    const { hostage } = this.#scene.clock;
    hostage.store(-1 - this.#index);
    for (;;) hostage.wait(-1 - this.#index);
  }
}

/** The first one to come in a step closes the sums of the step before. */
function beginStep(all: Sums, step: number): void {
  if (all.members > 0) {
    all.meanX = all.x / all.members;
    all.meanY = all.y / all.members;
    all.order = Math.hypot(all.vx, all.vy) / all.speed;
  }
  all.set({ step, members: 0, x: 0, y: 0, vx: 0, vy: 0, speed: 0 });
}

/** Pushes back who comes near the sky's end. */
function wall(at: number, end: number): number {
  if (at < MARGIN) return (MARGIN - at) * 0.0022;
  if (at > end - MARGIN) return (end - MARGIN - at) * 0.0022;
  return 0;
}

addEventListener('message', ({ data }: MessageEvent<Orders>) => {
  const mover = new Mover(openScene(data), data.index);
  // It will not come back to its event loop: before that, have its death be noticed, whenever it comes.
  watchable()
    .then(() => mover.run())
    .catch(reportError);
});
