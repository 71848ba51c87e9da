/** A thread dies at each step of what it does to what it owns: counts come out right, and nothing is lost. */

import { beforeAll, describe, expect, test, vi } from 'vitest';
import { Arc, Weak } from '../../src/containers/arc.ts';
import { arc } from '../../src/containers/arc-field.ts';
import { Box, box } from '../../src/containers/box.ts';
import { Rc } from '../../src/containers/rc.ts';
import type { ContainerStore } from '../../src/containers/store.ts';
import { Heap } from '../../src/heap/heap.ts';
import type { ThreadSlots } from '../../src/heap/slots.ts';
import { KiB } from '../../src/memory/address.ts';
import * as atomics from '../../src/memory/atomics.ts';
import type { View } from '../../src/structs/inference.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct, viewAt } from '../../src/structs/struct.ts';
import { settleDeed } from '../../src/sync/deed.ts';
import { anotherThread } from '../misuse/another-thread.ts';
import { die, Fuse, Killed, killAtEveryStep, mockAtomics, mortal, slotsOf } from './mortal.ts';

vi.mock(import('../../src/memory/atomics.ts'), { spy: true });
beforeAll(mockAtomics);

const Leaf = struct('Leaf', { value: u32 });
const Node = struct('Node', { value: u32, leaf: box(Leaf), shared: arc(Leaf) });

interface Scene {
  readonly heap: Heap;
  readonly victim: Heap;
  readonly store: ContainerStore;
  readonly free: number;
}

function sceneOf(fuse: Fuse): Scene {
  const heap = Heap.create({ byteLength: 128 * KiB, maxThreads: 4, lockTimeout: 60_000 });
  for (const type of [Leaf, Node]) heap.delete(heap.new(type));
  Box.create(heap, Node, { leaf: {}, shared: {} }).drop();
  const victim = anotherThread(heap);
  const store = mortal(victim, fuse);
  Box.create(store, Node, { leaf: {}, shared: {} }).drop();
  heap.flush();
  victim.flush();
  return { heap, victim, store, free: heap.stats().largestFree };
}

/** The victim is reaped, what it owned dropped; what others hold is theirs to drop. */
function bury({ heap, victim, free }: Scene, drop: () => void): void {
  const { slot, generation } = victim.thread;
  heap.reap({ slot, generation }, { reclaim: true });
  drop();
  heap.flush();
  heap.verify();
  const left = [...heap.blocks()].filter(({ state }) => state !== 'free' && state !== 'hand');
  expect(left).toEqual([]);
  expect(heap.stats().largestFree).toBe(free);
  heap.detach();
}

/** Arcs of another thread and of the victim. */
function sharedIn(scene: Scene) {
  const ours = Arc.create(scene.heap, Leaf, { value: 7 });
  const theirs = Arc.open(scene.store, ours.clone().move(), Leaf);
  return { ours, theirs };
}

describe('counts', () => {
  test('clone', () => {
    const steps = killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const { ours, theirs } = sharedIn(scene);
      const check = () => {
        die(scene.heap, scene.victim.thread);
        expect(ours.strongCount).toBeGreaterThanOrEqual(2);
        ours.clone().drop();
        const clones = ours.strongCount;
        scene.heap.reap(scene.victim.thread);
        expect(ours.strongCount, 'not reclaimed yet').toBe(clones);
        for (const { address, state, size } of [...scene.heap.blocks()]) {
          if (state === 'orphan' && size >= 16 && scene.heap.memory.u32[(address + 8) >>> 2] !== 0)
            Arc.fromAddress(scene.heap, address, Leaf).drop();
          else if (state === 'orphan') scene.heap.free(address);
        }
        expect(ours.strongCount).toBe(1);
        bury(scene, () => ours.drop());
      };
      return { act: () => theirs.clone(), check };
    });
    expect(steps).toBeGreaterThan(8);
  });

  test.each(['clone', 'downgrade', 'drop', 'clone and drop'] as const)('%s, reclaimed', (what) => {
    const steps = killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const { ours, theirs } = sharedIn(scene);
      const act = () => {
        if (what === 'drop') theirs.drop();
        else if (what === 'downgrade') theirs.downgrade();
        else if (what === 'clone') theirs.clone();
        else theirs.clone().drop();
      };
      const check = () => {
        const { slot, generation } = scene.victim.thread;
        scene.heap.reap({ slot, generation }, { reclaim: true });
        expect([ours.strongCount, ours.weakCount]).toEqual([1, 0]);
        expect(ours.value.value).toBe(7);
        bury(scene, () => ours.drop());
      };
      return { act, check };
    });
    expect(steps).toBeGreaterThan(8);
  });

  test('the last drop, while others have a Weak', () => {
    killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const theirs = Arc.create(scene.store, Leaf);
      const weak = Weak.open(scene.heap, theirs.downgrade().move(), Leaf);
      const check = () => {
        scene.heap.reap(scene.victim.thread, { reclaim: true });
        expect([weak.strongCount, weak.weakCount]).toEqual([0, 1]);
        expect(weak.upgrade()).toBeUndefined();
        bury(scene, () => weak.drop());
      };
      return { act: () => theirs.drop(), check };
    });
  });

  test('the last drop of all, and a new Arc', () => {
    killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const act = () => Arc.create(scene.store, Leaf, { value: 1 }).drop();
      return { act, check: () => bury(scene, () => {}) };
    });
  });

  test('upgrade', () => {
    killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const { ours, theirs } = sharedIn(scene);
      const weak = theirs.downgrade();
      const check = () => {
        scene.heap.reap(scene.victim.thread, { reclaim: true });
        expect([ours.strongCount, ours.weakCount]).toEqual([1, 0]);
        bury(scene, () => ours.drop());
      };
      return { act: () => weak.upgrade()?.drop(), check };
    });
  });
});

describe('fields', () => {
  const acts: Record<string, (view: View<typeof Node>, store: ContainerStore) => void> = {
    'a box moves in': (view, store) => view.set({ leaf: Box.create(store, Leaf, { value: 1 }) }),
    'a box is taken out': (view) => Box.take(view, 'leaf')?.drop(),
    'a box is emptied': (view) => view.set({ leaf: null }),
    'an arc moves in': (view, store) => view.set({ shared: Arc.create(store, Leaf) }),
    'an arc is taken out': (view) => Arc.take(view, 'shared')?.drop(),
    'an arc is cloned from it': (view) => Arc.clone(view, 'shared')?.drop(),
  };

  test.each(Object.keys(acts))('%s', (name) => {
    const steps = killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const node = Box.create(scene.heap, Node, { leaf: { value: 5 }, shared: { value: 6 } });
      scene.heap.share(node.address);
      const theirs = viewAt(Node, scene.store, node.value.address);
      return { act: () => acts[name]!(theirs, scene.store), check: () => bury(scene, () => node.drop()) };
    });
    expect(steps).toBeGreaterThan(3);
  });
});

test("an Rc's block is the dead thread's own, with all its references", () => {
  const scene = sceneOf(new Fuse(0));
  const rc = Rc.create(scene.victim, Node, { leaf: {}, shared: {} });
  rc.clone();
  rc.downgrade();
  bury(scene, () => {});
});

describe('between death and reaping', () => {
  test('a count word that names the dead is free as soon as the death is proven', () => {
    let named = 0;
    killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const { ours, theirs } = sharedIn(scene);
      const { store: witness, slots } = witnessIn(scene);
      const mine = Arc.open(witness, ours.clone().move(), Leaf);
      const word = (scene.heap.memory.u32[(ours.address + 8) >>> 2]! + 8) >>> 2;
      const check = () => {
        const isNamed = (scene.heap.memory.i32[word]! & 255) !== 0;
        slots.isProvenDead = () => true;
        const naps = vi.mocked(atomics.wait).mockClear();
        mine.clone().drop();
        // They get longer, and whether a thread has died is asked every 10 ms.
        expect(naps.mock.calls.length).toBeLessThan(10);
        const info = slots.taken().find(({ slot }) => slot === scene.victim.threadSlot);
        expect(info?.dead, 'proven where that was needed').toBe(isNamed);
        named += isNamed ? 1 : 0;
        mine.drop();
        scene.heap.reap(scene.victim.thread, { reclaim: true });
        expect(ours.strongCount).toBe(1);
        ours.drop();
        scene.heap.detach();
      };
      return { act: () => theirs.clone().drop(), check };
    });
    expect(named).toBeGreaterThan(3);
  });

  test('settling may end at any store, and is begun again', () => {
    let deaths = 0;
    killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const { ours, theirs } = sharedIn(scene);
      const { i32, u32: words } = scene.heap.memory;
      const check = () => {
        const { slot } = scene.victim.thread;
        const { deed } = scene.victim.thread;
        for (let at = 1; ; at++) {
          const second = new Fuse(at);
          const memory = { i32: second.wrap(i32), u32: second.wrap(words) } as never;
          second.isLit = true;
          try {
            settleDeed(memory, second.wrap(i32), deed, slot);
            break;
          } catch (error) {
            expect(error).toBeInstanceOf(Killed);
            deaths++;
          }
        }
        scene.heap.reap(scene.victim.thread, { reclaim: true });
        expect([ours.strongCount, ours.weakCount]).toEqual([1, 0]);
        bury(scene, () => ours.drop());
      };
      return { act: () => theirs.clone().drop(), check };
    });
    expect(deaths).toBeGreaterThan(10);
  });

  test('the slot may be another thread’s right after the reaping', () => {
    killAtEveryStep((fuse) => {
      const scene = sceneOf(fuse);
      const { ours, theirs } = sharedIn(scene);
      const check = () => {
        scene.heap.reap(scene.victim.thread, { reclaim: true });
        const next = anotherThread(scene.heap);
        expect(next.threadSlot).toBe(scene.victim.threadSlot);
        const clone = Arc.open(next, ours.clone().move(), Leaf);
        clone.clone().drop();
        expect(ours.strongCount).toBe(2);
        clone.drop();
        scene.heap.reap(next.thread);
        bury({ ...scene, victim: anotherThread(scene.heap) }, () => ours.drop());
      };
      return { act: () => theirs.drop(), check };
    });
  });
});

/** A thread that can prove deaths. */
function witnessIn({ heap }: Scene): { store: ContainerStore; slots: ThreadSlots } {
  const other = anotherThread(heap);
  const slots = slotsOf(heap);
  const store = Object.create(other, {
    memory: { value: other.memory },
    thread: { value: slots.take() },
    layouts: { value: other.layouts },
    id: { value: other.id },
    generationOf: { value: other.generationOf.bind(other) },
    allocZeroed: { value: other.allocZeroed.bind(other) },
    free: { value: other.free.bind(other) },
    tryShare: { value: other.tryShare.bind(other) },
    tryAdopt: { value: other.tryAdopt.bind(other) },
    tryReceive: { value: other.tryReceive.bind(other) },
  }) as ContainerStore;
  other.layouts.home = store as never;
  return { store, slots };
}
