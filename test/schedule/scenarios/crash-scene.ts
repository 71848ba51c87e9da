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
  /** Whether only one thread may be at it: then nobody uses it before the victim is dead. */
  readonly alone?: boolean;
  /** Gives up what was prepared, and what blocks the dead have left as nobody's. */
  finish(heap: Heap, prepared: P): void;
}

interface Tenant {
  readonly slot: number;
  readonly generation: number;
}

function tenantOf({ thread: { slot, generation } }: Heap): Tenant {
  return { slot, generation };
}

/** How long a check waits for a lock that was left behind, in ms. */
const LOCK_TIMEOUT_MS = 500;

/** A scenario for `Explorer.crash`, and for `Explorer.kill` one where nobody waits for the death. */
export function crashing<P>(scene: CrashScene<P>): Scenario {
  const { prepare, finish, options, bytes } = scene;
  const parts = {
    prepare,
    finish,
    options: { lockTimeout: LOCK_TIMEOUT_MS, ...options },
    ...(bytes === undefined ? {} : { bytes }),
    maySleepOut: true,
  };
  const afterwards = onHeap<P, Tenant[]>({
    ...parts,
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
  if (scene.alone) return afterwards;
  const amid = onHeap<P, undefined>({
    ...parts,
    threads: [
      (heap, prepared) => scene.victim(heap, prepared),
      (heap, prepared) => () => {
        scene.use(heap, prepared);
        heap.recover({ reclaim: true });
        scene.use(heap, prepared);
      },
      (heap, prepared) => () => scene.use(heap, prepared),
    ],
  });
  return { ...afterwards, amid };
}
