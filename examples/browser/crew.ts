/**
 * The crew: starts the workers, ends one when asked to, and puts another in its place.
 *
 *     starting ──▶ at work ──▶ ended ──▶ starting …
 *                     │          ▲ └ told to end; it may run on. Nothing of it is touched before its death is proven:
 *                     ▼          │   then the heap reaps it, and a new worker takes over its share
 *                  stopping ─────┘
 *                  (with the mutex in its hands)
 */

import type { ReapReport } from 'sabheap';
import { type Orders, type Scene, WORKERS } from './scene.ts';

/** Where a worker is on its way. */
export type Phase = 'starting' | 'at work' | 'stopping' | 'ended';

/** A death and what came after it. */
export interface Recovery {
  /** Whose share it was. */
  readonly index: number;
  /** Whether it had the mutex in its hands for certain. */
  readonly heldLock: boolean;
  readonly report: ReapReport;
  /** From `terminate()` to the proof of its death, in ms. */
  readonly untilReaped: number;
  /** From `terminate()` until a new worker had moved its share, in ms. */
  readonly untilMoved: number;
}

interface Death {
  readonly at: number;
  readonly heldLock: boolean;
  report?: ReapReport;
  untilReaped?: number;
}

interface Member {
  worker: Worker;
  phase: Phase;
  /** Of the worker before, until this one has done a step. */
  death?: Death | undefined;
}

/** What the crew tells the page. */
export interface CrewEvents {
  onReaped(index: number, report: ReapReport): void;
  onRecovered(recovery: Recovery): void;
  onFailed(error: unknown): void;
}

/** The workers of the page. */
export class Crew {
  readonly #scene: Scene;
  readonly #orders: (index: number) => Orders;
  readonly #events: CrewEvents;
  readonly #members: Member[];

  constructor(scene: Scene, orders: (index: number) => Orders, events: CrewEvents) {
    this.#scene = scene;
    this.#orders = orders;
    this.#events = events;
    this.#members = Array.from({ length: WORKERS }, (_, index) => this.#start(index));
  }

  phaseOf(index: number): Phase {
    return this.#members[index]!.phase;
  }

  /** Whether all are there, so that one may go. */
  get isComplete(): boolean {
    return this.#members.every(({ phase }) => phase === 'at work');
  }

  /** Ends a worker wherever it is, or once it has stopped with the mutex in its hands. */
  kill(index: number, when: 'now' | 'with the lock'): void {
    const member = this.#members[index]!;
    if (when === 'now') {
      this.#end(member, false);
    } else {
      member.phase = 'stopping';
      this.#scene.clock.hostage.store(index + 1);
    }
  }

  /**
   * Looks into the shared words: who has done the step, who has stopped. Returns whether all that live have done it.
   * A share that nobody moves stands still.
   */
  look(step: number): boolean {
    const { clock, shares } = this.#scene;
    const stopped = -1 - clock.hostage.load();
    if (stopped >= 0) {
      clock.hostage.store(0);
      this.#end(this.#members[stopped]!, true);
    }
    const idle: number[] = [];
    let isDone = true;
    for (const [index, member] of this.#members.entries()) {
      const { slot, done } = shares[index]!;
      if (done.load() === step) {
        if (member.phase === 'starting' && slot !== 0) this.#hasArrived(index, member);
      } else if (member.death !== undefined) {
        idle.push(index);
      } else {
        isDone = false;
      }
    }
    if (isDone) for (const index of idle) this.#standStill(index, step);
    return isDone;
  }

  /** Nobody moves a share in this step. If its worker runs on after all, both write; either is as good. */
  #standStill(index: number, step: number): void {
    const { boids, shares } = this.#scene;
    const { from, to } = shares[index]!;
    const [now, next] = [boids[step & 1]!, boids[(step + 1) & 1]!];
    for (const name of ['x', 'y', 'vx', 'vy'] as const) next[name].set(now[name].subarray(from, to), from);
  }

  #start(index: number): Member {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    const member: Member = { worker, phase: 'starting' };
    worker.addEventListener('error', (event) => this.#events.onFailed(event.error ?? event.message));
    this.#scene.heap.watch(worker, {
      reclaim: true, // what it allocated for itself is of no use to anybody else
      onReaped: (report) => this.#hasBeenReaped(index, member, report),
      onFailed: (error) => this.#events.onFailed(error),
    });
    worker.postMessage(this.#orders(index));
    return member;
  }

  #end(member: Member, heldLock: boolean): void {
    member.phase = 'ended';
    member.death = { at: performance.now(), heldLock };
    member.worker.terminate();
  }

  #hasBeenReaped(index: number, member: Member, report: ReapReport): void {
    const death = member.death!;
    this.#scene.shares[index]!.slot = 0;
    death.report = report;
    death.untilReaped = performance.now() - death.at;
    this.#events.onReaped(index, report);
    const successor = this.#start(index);
    successor.death = death;
    this.#members[index] = successor;
  }

  #hasArrived(index: number, member: Member): void {
    member.phase = 'at work';
    const { death } = member;
    if (death === undefined) return;
    member.death = undefined;
    this.#events.onRecovered({
      index,
      heldLock: death.heldLock,
      report: death.report!,
      untilReaped: death.untilReaped!,
      untilMoved: performance.now() - death.at,
    });
  }
}
