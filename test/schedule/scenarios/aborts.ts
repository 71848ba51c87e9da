/**
 * Aborts: whoever waits without blocking gives up at any moment: no item is lost, none is there twice, and nobody
 * else sleeps on. The abort is a thread of its own here; in a program it is a task of the thread that waits.
 */

import { Channel, type ChannelHandle } from '../../../src/channels/channel.ts';
import { SpscRing, type SpscRingHandle } from '../../../src/channels/spsc-ring.ts';
import type { Heap } from '../../../src/heap/heap.ts';
import type { Address } from '../../../src/memory/address.ts';
import type { Memory } from '../../../src/memory/memory.ts';
import { f64 } from '../../../src/structs/scalars.ts';
import { ParkLock } from '../../../src/sync/park-lock.ts';
import { Thread } from '../../../src/sync/thread.ts';
import type { Scenario } from '../engine/scenario.ts';
import { onPlainHeap } from './heap-scene.ts';
import { CHANNEL_RUNS, OWNERSHIP_WALKS, UNLOCKED_READS } from './races.ts';

const races = [...UNLOCKED_READS, ...OWNERSHIP_WALKS, ...CHANNEL_RUNS];

/** As an `AbortController` and its signal. */
class Aborting {
  aborted = false;
  readonly reason: Error = new Error('given up');
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  abort(): void {
    this.aborted = true;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Throws unless nobody listens any more. */
  checkLeft(): void {
    if (this.#listeners.size > 0) throw new Error('a listener was left behind');
  }
}

interface World {
  readonly signal: Aborting;
  readonly sent: number[];
  readonly got: number[];
}

type Queue = Channel<number> | SpscRing<number>;
type Part<Q extends Queue = Queue> = (queue: Q, world: World) => void | Promise<void>;

/** What was sent has arrived, or is inside at the end. */
function through<Q extends Queue>(Kind: typeof Channel | typeof SpscRing, ...parts: Part<Q>[]): Scenario {
  type Handle = ChannelHandle<number> & SpscRingHandle<number>;
  return onPlainHeap<Handle, World>({
    races,
    prepare: (heap) => Kind.create(heap, f64, { capacity: 1 }).handle as Handle,
    finish(heap, handle, world) {
      const queue = (Kind as typeof Channel).open(heap, handle) as Queue;
      if (world !== undefined) {
        const inside: number[] = [];
        for (let next = queue.tryRecv(); next.status === 'received'; next = queue.tryRecv())
          inside.push(next.value);
        const [arrived, sent] = [[...world.got, ...inside], world.sent].map((list) => list.sort().join());
        if (arrived !== sent) throw new Error(`${sent} were sent, ${arrived} have arrived`);
        world.signal.checkLeft();
      }
      queue.destroy();
    },
    world: () => ({ signal: new Aborting(), sent: [], got: [] }),
    threads: parts.map((part) => (heap: Heap, handle: Handle, world: World) => {
      const queue = (Kind as typeof Channel).open(heap, handle) as Queue as Q;
      return () => part(queue, world);
    }),
  });
}

const abort: Part = (_, { signal }) => {
  signal.abort();
};
const close: Part = (queue) => {
  queue.close();
};

/** Passes over what an aborted or closed wait throws. */
function expectEnd(error: unknown, { signal }: World): void {
  if (error !== signal.reason && (error as Error).name !== 'ClosedError') throw error;
}

const send =
  (...values: number[]): Part =>
  (queue, { sent }) => {
    for (const value of values) {
      queue.send(value);
      sent.push(value);
    }
  };
const sendAbortable =
  (value: number): Part =>
  async (queue, world) => {
    try {
      await queue.sendAsync(value, { signal: world.signal });
      world.sent.push(value);
    } catch (error) {
      expectEnd(error, world);
    }
  };
const receive =
  (count: number): Part =>
  (queue, { got }) => {
    for (let left = count; left > 0; left--) got.push(queue.recv()!);
  };
const receiveAll: Part = (queue, { got }) => {
  for (let value = queue.recv(); value !== undefined; value = queue.recv()) got.push(value);
};
const receiveAbortable: Part = async (queue, world) => {
  try {
    const value = await queue.recvAsync({ signal: world.signal });
    if (value !== undefined) world.got.push(value);
  } catch (error) {
    expectEnd(error, world);
  }
};
const receiveManyAbortable: Part = async (queue, world) => {
  try {
    const some = await queue.recvManyAsync(2, [], { signal: world.signal });
    world.got.push(...some);
  } catch (error) {
    expectEnd(error, world);
  }
};
const sendAndClose =
  (...values: number[]): Part =>
  (queue, { sent }) => {
    for (const value of values) {
      queue.send(value);
      sent.push(value);
    }
    queue.close();
  };

export const receiver = through(Channel, receiveAbortable, abort, send(1));
export const receiverBesideOther = through(Channel, receiveAbortable, abort, sendAndClose(1, 2), receiveAll);
export const receiverOfMany = through(Channel, receiveManyAbortable, abort, sendAndClose(1, 2), receiveAll);
export const receiverAgainstClose = through(Channel, receiveAbortable, abort, close, receiveAll);
export const sender = through(Channel, sendAbortable(11), abort, send(1, 2), receive(2));
export const senderAgainstClose = through(
  Channel,
  async (queue, world) => {
    await sendAbortable(1)(queue, world);
    await sendAbortable(11)(queue, world);
  },
  abort,
  close,
);
export const ringConsumer = through<SpscRing<number>>(
  SpscRing,
  async (ring, world) => {
    await receiveAbortable(ring, world);
    receiveAll(ring, world);
  },
  abort,
  sendAndClose(1, 2),
);
export const ringProducer = through<SpscRing<number>>(
  SpscRing,
  async (ring, world) => {
    await sendAbortable(11)(ring, world);
    await sendAbortable(12)(ring, world);
    ring.close();
  },
  abort,
  receiveAll,
);

// ── Locks ───────────────────────────────────────────────────────────────────────────────────────

const LOCK = 8 as Address;
/** Index of a word that only who is inside touches. */
const COUNTER = 16;
const RECORDS = 128;

function increment(memory: Memory, lock: ParkLock): void {
  const seen = memory.i32[COUNTER]!;
  memory.i32[COUNTER] = seen + 1;
  lock.release();
}

const lockOf = (memory: Memory, slot: number): ParkLock =>
  new ParkLock(memory, LOCK, { thread: Thread.inSlot(slot, 1, memory.i32, RECORDS + slot * 8) });

interface LockWorld {
  readonly signal: Aborting;
  inside: number;
}

/** One gives up to wait for the lock, or has it; the others have it in any case. */
export const lockWait: Scenario<LockWorld> = {
  bytes: 1024,
  world: () => ({ signal: new Aborting(), inside: 0 }),
  threads: [
    (memory, world) => {
      const lock = lockOf(memory, 1);
      return async () => {
        try {
          await lock.acquireAsync({ signal: world.signal });
        } catch (error) {
          if (error !== world.signal.reason) throw error;
          return;
        }
        world.inside++;
        increment(memory, lock);
      };
    },
    (_, { signal }) =>
      () =>
        signal.abort(),
    ...[3, 4].map((slot) => (memory: Memory, world: LockWorld) => {
      const lock = lockOf(memory, slot);
      return async () => {
        if (slot === 3) lock.acquire();
        else await lock.acquireAsync();
        world.inside++;
        increment(memory, lock);
      };
    }),
  ],
  check(memory, { signal, inside }) {
    const counted = memory.i32[COUNTER]!;
    if (counted !== inside || inside < 2) throw new Error(`${inside} were inside, ${counted} were counted`);
    if (lockOf(memory, 9).owner !== 0) throw new Error('the lock was left held');
    signal.checkLeft();
  },
};
