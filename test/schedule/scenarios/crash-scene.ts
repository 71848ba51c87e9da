/**
 * Crash scene: thread 1 is about an operation when it dies. Thread 2 recovers it and goes on with what both
 * shared; should it die at that, thread 3 recovers both. At the end, as in any scene on a heap, nothing is lost
 * that was not the dead threads', and all bytes can be had again in one piece.
 */

import type { Heap } from '../../../src/heap/heap.ts';
import type { HeapOptions } from '../../../src/heap/options.ts';
import type { Scenario } from '../engine/scenario.ts';
import { onHeap } from './heap-scene.ts';

/** What thread 1 is about, and what the others do with what it leaves. */
export interface CrashScene<P> {
  readonly options?: HeapOptions;
  readonly bytes?: number;
  /** Makes what the threads share. */
  prepare(heap: Heap): P;
  /** Opened by the victim in one step; what is returned is what it dies in. */
  victim(heap: Heap, prepared: P): () => void;
  /** What the others do after they have recovered: it must go as if nothing had been. */
  use(heap: Heap, prepared: P): void;
  /** Gives up what was prepared. */
  finish(heap: Heap, prepared: P): void;
}

interface Tenant {
  readonly slot: number;
  readonly generation: number;
}

function tenantOf({ thread: { slot, generation } }: Heap): Tenant {
  return { slot, generation };
}

/** A scenario for `Explorer.crash`. */
export function crashing<P>(scene: CrashScene<P>): Scenario {
  const { prepare, finish, options, bytes } = scene;
  return onHeap<P, Tenant[]>({
    prepare,
    finish,
    ...(options === undefined ? {} : { options }),
    ...(bytes === undefined ? {} : { bytes }),
    maySleepOut: true,
    world: () => [],
    threads: [
      (heap, prepared, tenants) => {
        tenants.push(tenantOf(heap));
        return scene.victim(heap, prepared);
      },
      ...[2, 3].map(() => (heap: Heap, prepared: P, tenants: Tenant[]) => {
        const before = tenants.slice();
        tenants.push(tenantOf(heap));
        return () => {
          for (const tenant of before) heap.reap(tenant, { reclaim: true });
          scene.use(heap, prepared);
        };
      }),
    ],
  });
}
