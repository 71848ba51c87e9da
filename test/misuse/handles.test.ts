/** Handles of what is gone: moved, dropped, destroyed, freed and reused, of another kind, of another heap. */

import { expect } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Arc } from '../../src/containers/arc.ts';
import { Box } from '../../src/containers/box.ts';
import { SharedMap } from '../../src/containers/map.ts';
import { Mutex } from '../../src/containers/mutex.ts';
import { Rc } from '../../src/containers/rc.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import { Semaphore } from '../../src/containers/semaphore.ts';
import { SharedSet } from '../../src/containers/set.ts';
import { SharedString, string } from '../../src/containers/string.ts';
import { SharedVec } from '../../src/containers/vec.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import { anotherThread } from './another-thread.ts';
import { type Misuse, promises } from './promises.ts';

const Point = struct('Point', { x: f64, y: f64 });

const always = (name: string, promised: Misuse['standard'], run: (heap: Heap) => unknown): Misuse => ({
  name,
  standard: promised,
  hardened: promised,
  run,
});

interface Ended {
  destroy?(): void;
  drop?(): void;
  readonly handle: unknown;
}

interface Kind {
  readonly make: (heap: Heap) => Ended;
  readonly open: (heap: Heap, handle: never) => unknown;
  readonly use: (it: never) => unknown;
}

const kinds: Readonly<Record<string, Kind>> = {
  Arc: {
    make: (heap) => Arc.create(heap, Point),
    open: (heap, handle) => Arc.open(heap, handle, Point),
    use: (it: Arc<typeof Point>) => it.value,
  },
  SharedVec: {
    make: (heap) => SharedVec.create(heap, f64),
    open: (heap, handle) => SharedVec.open(heap, handle),
    use: (it: SharedVec<typeof f64>) => it.push(1),
  },
  SharedString: {
    make: (heap) => SharedString.create(heap, 'text'),
    open: (heap, handle) => SharedString.open(heap, handle),
    use: (it: SharedString) => it.compare('a'),
  },
  SharedMap: {
    make: (heap) => SharedMap.create(heap, string, u32),
    open: (heap, handle) => SharedMap.open(heap, handle),
    use: (it: SharedMap<typeof string, typeof u32>) => it.set('a', 1),
  },
  SharedSet: {
    make: (heap) => SharedSet.create(heap, u32),
    open: (heap, handle) => SharedSet.open(heap, handle),
    use: (it: SharedSet<typeof u32>) => it.add(1),
  },
  Mutex: {
    make: (heap) => Mutex.create(heap, Point),
    open: (heap, handle) => Mutex.open(heap, handle),
    use: (it: Mutex<typeof Point>) => it.lock(),
  },
  RwLock: {
    make: (heap) => RwLock.create(heap, Point),
    open: (heap, handle) => RwLock.open(heap, handle),
    use: (it: RwLock<typeof Point>) => it.write(() => {}),
  },
  Semaphore: {
    make: (heap) => Semaphore.create(heap, 2),
    open: (heap, handle) => Semaphore.open(heap, handle),
    use: (it: Semaphore) => it.tryAcquire(),
  },
  Channel: {
    make: (heap) => Channel.create(heap, u32, { capacity: 4 }),
    open: (heap, handle) => Channel.open(heap, handle),
    use: (it: Channel<number, number>) => it.trySend(1),
  },
  SpscRing: {
    make: (heap) => SpscRing.create(heap, u32, { capacity: 4 }),
    open: (heap, handle) => SpscRing.open(heap, handle),
    use: (it: SpscRing<number, number>) => it.trySend(1),
  },
};

function end(it: Ended): void {
  if (it.destroy !== undefined) it.destroy();
  else it.drop!();
}

/** Of what every thread has an object of its own: one destroys it, another one goes on. */
function byOthers(name: string, { make, open, use }: Kind): Misuse[] {
  const destroyed = (heap: Heap): never => {
    const it = make(heap);
    const other = open(anotherThread(heap), it.handle as never) as never;
    end(it);
    return other;
  };
  return [
    always(`${name}: use after another thread destroyed it`, 'ReferenceError', (heap) => {
      use(destroyed(heap));
    }),
    always(`${name}: the same once its bytes are used again`, 'ReferenceError', (heap) => {
      const other = destroyed(heap);
      heap.flush();
      const blocks: Address[] = [];
      for (let block = heap.allocZeroed(256); block !== NULL; block = heap.allocZeroed(256))
        blocks.push(block);
      try {
        use(other);
      } finally {
        const isZero = (block: Address) => heap.memory.bytes(block, 256).every((byte) => byte === 0);
        expect(blocks.every(isZero)).toBe(true);
        for (const block of blocks) heap.free(block);
      }
    }),
  ];
}

promises([
  ...Object.entries(kinds).flatMap(([name, { make, open, use }]) => [
    always(`${name}: use after its end`, 'ReferenceError', (heap) => {
      const it = make(heap);
      end(it);
      use(it as never);
    }),
    ...(name === 'Arc' ? [] : byOthers(name, kinds[name]!)),
    always(`${name}: a stale handle is opened`, 'AttachError', (heap) => {
      const it = make(heap);
      const handle = name === 'Arc' ? (it as Arc<typeof Point>).clone().move() : it.handle;
      if (name === 'Arc') Arc.open(heap, handle as never, Point).drop();
      end(it);
      open(heap, handle as never);
    }),
    always(`${name}: opened with a handle of another kind`, 'AttachError', (heap) => {
      const [, other] = Object.entries(kinds).find(([kind]) => kind !== name && kind !== 'Arc')!;
      open(heap, other.make(heap).handle as never);
    }),
    always(`${name}: opened with what is no handle`, 'TypeError', (heap) => open(heap, 7 as never)),
    always(`${name}: opened in a heap that it is not of`, 'AttachError', (heap) => {
      const elsewhere = Heap.create({ byteLength: 2 * MiB });
      const it = make(elsewhere);
      const handle = name === 'Arc' ? (it as Arc<typeof Point>).move() : it.handle;
      try {
        open(heap, handle as never);
      } finally {
        elsewhere.detach();
      }
    }),
  ]),
  always('Box: use after move', 'UseAfterMoveError', (heap) => {
    const point = Box.create(heap, Point);
    point.move();
    point.value;
  }),
  always('Box: a second move', 'UseAfterMoveError', (heap) => {
    const point = Box.create(heap, Point);
    point.move();
    point.move();
  }),
  always('Box: use after drop', 'ReferenceError', (heap) => {
    const point = Box.create(heap, Point);
    point.drop();
    point.value;
  }),
  always('Box: a view from before the move shows nothing', 'harmless', (heap) => {
    const point = Box.create(heap, Point, { x: 5 });
    const view = point.value;
    point.move();
    expect([view.address, view.x]).toEqual([0, undefined]);
  }),
  always('Box: received twice', 'AttachError', (heap) => {
    const handle = Box.create(heap, Point).move();
    Box.open(heap, handle);
    Box.open(heap, handle);
  }),
  always('Box: received by two threads', 'AttachError', (heap) => {
    const other = anotherThread(heap);
    const handle = Box.create(heap, Point).move();
    Box.open(heap, handle);
    Box.open(other, handle);
  }),
  always('Box: a handle of a block that was freed and is another Box now', 'AttachError', (heap) => {
    const handle = Box.create(heap, Point).move();
    Box.open(heap, handle).drop();
    for (let i = 0; i < 600; i++) {
      const later = Box.create(heap, Point);
      if (later.move().address === handle.address) break;
    }
    Box.open(heap, handle);
  }),
  always('Arc: a handle of a reference that another took', 'AttachError', (heap) => {
    const handle = Arc.create(heap, Point).move();
    Arc.open(heap, handle);
    Arc.open(heap, handle);
  }),
  always('Arc: use after move', 'UseAfterMoveError', (heap) => {
    const point = Arc.create(heap, Point);
    point.move();
    point.clone();
  }),
  always('Weak: upgraded after the last Arc is gone', 'harmless', (heap) => {
    const point = Arc.create(heap, Point);
    const weak = point.downgrade();
    point.drop();
    expect(weak.upgrade()).toBe(undefined);
    weak.drop();
  }),
  always('Rc: use after drop', 'ReferenceError', (heap) => {
    const point = Rc.create(heap, Point);
    point.drop();
    point.value;
  }),
  always('a mutex guard after its unlock', 'NotOwnerError', (heap) => {
    const guard = Mutex.create(heap, Point).lock();
    guard.unlock();
    guard.value;
  }),
  always('a mutex is destroyed while it is held', 'BusyError', (heap) => {
    const mutex = Mutex.create(heap, Point);
    const guard = mutex.lock();
    try {
      mutex.destroy();
    } finally {
      guard.unlock();
    }
  }),
  always('a lock is taken twice by its thread', 'DeadlockError', (heap) => {
    const mutex = Mutex.create(heap, Point);
    const guard = mutex.lock();
    try {
      mutex.lock();
    } finally {
      guard.unlock();
    }
  }),
  always('a lock is given back by a thread that does not hold it', 'NotOwnerError', (heap) => {
    const lock = heap.lock(heap.allocZeroed(8));
    lock.release();
  }),
  always('a lock of another thread is given back', 'NotOwnerError', (heap) => {
    const address = heap.allocZeroed(8);
    anotherThread(heap).lock(address).acquire();
    heap.lock(address).release();
  }),
  always('anything of a heap after detach', 'DetachedError', () => {
    const gone = Heap.create({ byteLength: MiB });
    gone.detach();
    gone.alloc(8);
  }),
  always('a container of a heap after detach', 'DetachedError', () => {
    const gone = Heap.create({ byteLength: MiB });
    const map = SharedMap.create(gone, string, u32);
    gone.detach();
    map.set('a', 1);
  }),
  always('an arena after its release', 'ReferenceError', (heap) => {
    const arena = heap.arena(100);
    arena.release();
    arena.alloc(8);
  }),
]);
