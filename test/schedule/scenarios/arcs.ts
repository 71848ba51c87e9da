/** Arcs: the payload is dropped once, with the last reference, and never before. */

import { Arc, type ArcHandle, Weak } from '../../../src/containers/arc.ts';
import { string } from '../../../src/containers/string.ts';
import type { Heap } from '../../../src/heap/heap.ts';
import { u32 } from '../../../src/structs/scalars.ts';
import { struct } from '../../../src/structs/struct.ts';
import type { Scenario } from '../engine/scenario.ts';
import { onPlainHeap } from './heap-scene.ts';
import { ARC_CHECKS, OWNERSHIP_WALKS, UNLOCKED_READS } from './races.ts';

const races = [...UNLOCKED_READS, ...OWNERSHIP_WALKS, ...ARC_CHECKS];

const Config = struct('Config', { port: u32, host: string });
const HOST = 'a name that lies in a block of its own';

type ConfigArc = Arc<typeof Config>;
type ConfigWeak = Weak<typeof Config>;
type Part = (arc: ConfigArc, weak: ConfigWeak) => void;

function check(arc: ConfigArc): void {
  if (arc.value.port !== 80) throw new Error(`the payload was dropped: port ${arc.value.port}`);
}

/** Each thread owns an Arc and a Weak of one target. What they keep is reclaimed at the end. */
function owning(...parts: Part[]): Scenario {
  return onPlainHeap({
    races,
    prepare(heap): ArcHandle<typeof Config> {
      return Arc.create(heap, Config, { port: 80, host: HOST }).move();
    },
    finish(heap, handle) {
      const arc = Arc.open(heap, handle, Config);
      check(arc);
      arc.drop();
    },
    threads: parts.map((part) => (heap: Heap) => {
      const arc = Arc.create(heap, Config, { port: 80, host: HOST });
      return () => part(arc, arc.downgrade());
    }),
  });
}

/** Clones of one Arc, one for each thread, made by the thread that sets up. */
function sharing(
  weaks: number,
  ...parts: ((arc: ConfigArc | undefined, weak: ConfigWeak | undefined) => void)[]
): Scenario {
  return onPlainHeap<unknown[], object>({
    races,
    prepare(heap) {
      const first = Arc.create(heap, Config, { port: 80, host: HOST });
      const handles = parts.map((_, i) => (i < weaks ? first.downgrade().move() : first.clone().move()));
      first.drop();
      return handles;
    },
    finish(heap, handles, world) {
      if (world !== undefined) return;
      handles.forEach((handle, i) => {
        if (i < weaks) Weak.open(heap, handle as never, Config).drop();
        else Arc.open(heap, handle as ArcHandle<typeof Config>, Config).drop();
      });
    },
    world: () => ({}),
    threads: parts.map((part, i) => (heap: Heap, handles: unknown[]) => {
      if (i < weaks) {
        const weak = Weak.open(heap, handles[i] as never, Config) as ConfigWeak;
        return () => part(undefined, weak);
      }
      const arc = Arc.open(heap, handles[i] as ArcHandle<typeof Config>, Config);
      return () => part(arc, undefined);
    }),
  });
}

export const alone = owning(
  (arc, weak) => {
    const clone = arc.clone();
    arc.drop();
    check(clone);
    clone.drop();
    if (weak.upgrade() !== undefined) throw new Error('a Weak of what was dropped gives an Arc');
    weak.drop();
  },
  (arc, weak) => {
    weak.drop();
    arc.drop();
  },
);

const drop = (arc: ConfigArc | undefined): void => {
  check(arc!);
  arc!.drop();
};

const cloneAndDrop = (arc: ConfigArc | undefined): void => {
  const clone = arc!.clone();
  check(clone);
  arc!.drop();
  check(clone);
  clone.drop();
};

const upgrade = (_arc: unknown, weak: ConfigWeak | undefined): void => {
  const arc = weak!.upgrade();
  if (arc !== undefined) {
    check(arc);
    arc.drop();
  }
  weak!.drop();
};

export const dropAndDrop = sharing(0, drop, drop);
export const dropThree = sharing(0, drop, drop, drop);
export const cloneAgainstDrop = sharing(0, cloneAndDrop, drop);
export const upgradeAgainstDrop = sharing(1, upgrade, drop);
export const upgradeTwice = sharing(2, upgrade, upgrade, drop);
