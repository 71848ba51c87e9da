/** Channels and rings: every item arrives once, those of one sender in order, and nobody sleeps for ever. */

import { Channel, type ChannelHandle } from '../../../src/channels/channel.ts';
import { SpscRing, type SpscRingHandle } from '../../../src/channels/spsc-ring.ts';
import { Box } from '../../../src/containers/box.ts';
import type { Heap } from '../../../src/heap/heap.ts';
import { f64, u32 } from '../../../src/structs/scalars.ts';
import { struct } from '../../../src/structs/struct.ts';
import type { Scenario } from '../engine/scenario.ts';
import { onPlainHeap } from './heap-scene.ts';
import { CHANNEL_RUNS, OWNERSHIP_WALKS, UNLOCKED_READS } from './races.ts';

const races = [...UNLOCKED_READS, ...OWNERSHIP_WALKS, ...CHANNEL_RUNS];

interface World {
  /** What was received, in order, by each thread. */
  readonly got: number[][];
  sent: number;
}

type Handle = ChannelHandle<number>;
type Part = (channel: Channel<number>, world: World, thread: number) => void | Promise<void>;

function through(capacity: number, expected: readonly number[], parts: readonly Part[]): Scenario {
  return onPlainHeap<Handle, World>({
    races,
    prepare(heap) {
      const channel = Channel.create(heap, f64, { capacity });
      const { handle } = channel;
      channel.release();
      return handle;
    },
    finish(heap, handle, world) {
      Channel.open(heap, handle).destroy();
      if (world !== undefined) expectOnce(world, expected);
    },
    world: () => ({ got: parts.map(() => []), sent: 0 }),
    threads: parts.map((part, i) => (heap: Heap, handle: Handle, world: World) => {
      const channel = Channel.open(heap, handle);
      return () => part(channel, world, i);
    }),
  });
}

/** Each value is 10 · sender + number. */
function expectOnce({ got }: World, expected: readonly number[]): void {
  const all = got.flat().sort((a, b) => a - b);
  if (all.join() !== [...expected].sort((a, b) => a - b).join()) throw new Error(`received ${all.join()}`);
  for (const list of got) {
    for (let sender = 0; sender < 3; sender++) {
      const its = list.filter((value) => Math.floor(value / 10) === sender);
      if (its.some((value, i) => i > 0 && value < its[i - 1]!))
        throw new Error(`out of order: ${list.join()}`);
    }
  }
}

const send =
  (...values: number[]): Part =>
  (channel) => {
    for (const value of values) channel.send(value);
  };

const receive =
  (count: number): Part =>
  (channel, { got }, thread) => {
    for (let left = count; left > 0; left--) got[thread]!.push(channel.recv()!);
  };

const receiveAll: Part = (channel, { got }, thread) => {
  for (let value = channel.recv(); value !== undefined; value = channel.recv()) got[thread]!.push(value);
};

export const oneByOne = through(1, [1, 2], [send(1, 2), receive(2)]);
export const twoSenders = through(2, [1, 2, 11], [send(1, 2), send(11), receive(3)]);
export const twoSendersOneCell = through(1, [1, 11], [send(1), send(11), receive(2)]);
export const twoReceivers = through(1, [1, 2], [send(1, 2), receive(1), receive(1)]);
export const closing = through(
  2,
  [1, 2],
  [
    (channel) => {
      channel.send(1);
      channel.send(2);
      channel.close();
    },
    receiveAll,
  ],
);
export const closingTwoReceivers = through(
  2,
  [1],
  [
    (channel) => {
      channel.send(1);
      channel.close();
    },
    receiveAll,
    receiveAll,
  ],
);

/** A channel is closed under a sender that waits, or is in the middle: what it was told is what happened. */
export const closeAgainstSend: Scenario = onPlainHeap<Handle, World>({
  races,
  prepare(heap) {
    return Channel.create(heap, f64, { capacity: 1 }).handle;
  },
  finish(heap, handle, world) {
    const channel = Channel.open(heap, handle);
    let inside = 0;
    while (channel.tryRecv().status === 'received') inside++;
    channel.destroy();
    if (world !== undefined && inside !== world.sent)
      throw new Error(`${world.sent} were sent, ${inside} are inside`);
  },
  world: () => ({ got: [], sent: 0 }),
  threads: [
    (heap, handle, world) => {
      const channel = Channel.open(heap, handle);
      return () => {
        try {
          for (let i = 0; i < 2; i++) {
            channel.send(i);
            world.sent++;
          }
        } catch (error) {
          if ((error as Error).name !== 'ClosedError') throw error;
        }
      };
    },
    (heap, handle) => {
      const channel = Channel.open(heap, handle);
      return () => {
        channel.close();
      };
    },
  ],
});

export const runs = through(
  3,
  [1, 2, 3, 4],
  [
    (channel) => {
      channel.sendAll([1, 2, 3, 4]);
      channel.close();
    },
    (channel, { got }, thread) => {
      for (;;) {
        const some = channel.recvMany(3);
        if (some.length === 0) return;
        got[thread]!.push(...some);
      }
    },
  ],
);

export const runsAndSingles = through(
  3,
  [1, 2, 3, 11],
  [
    (channel) => {
      channel.sendAll([1, 2, 3]);
    },
    send(11),
    (channel, { got }, thread) => {
      const mine = got[thread]!;
      while (mine.length < 4) mine.push(...channel.recvMany(2));
    },
  ],
);

/** Receives up to three, but cannot take the second: that one and the third are left to others. */
const receiveSpoilt: Part = (channel, { got }, thread) => {
  const { items } = channel as unknown as { items: { run: unknown; take(address: number): number } };
  const { take } = items;
  let left = 1;
  items.run = undefined;
  items.take = (address) => {
    if (left-- <= 0) throw new Error('spoilt');
    return take(address);
  };
  try {
    got[thread]!.push(...channel.recvMany(3, [], { timeout: 0 }));
  } catch {
    // It had come to the second one that another receiver left.
  }
};
const receiveSome =
  (most: number): Part =>
  (channel, { got }, thread) => {
    got[thread]!.push(...channel.recvMany(most, [], { timeout: 0 }));
    got[thread]!.push(...channel.recvMany(most, [], { timeout: 0 }));
  };

/** A receiver gives the rest of its run up while another one is in the middle of the run behind it. */
export const runGivenUp: Scenario = onPlainHeap<Handle, World>({
  races,
  maySleepOut: true,
  prepare(heap) {
    const channel = Channel.create(heap, f64, { capacity: 6 });
    channel.sendAll([1, 2, 3, 4, 5, 6]);
    return channel.handle;
  },
  finish(heap, handle, world) {
    const channel = Channel.open(heap, handle);
    if (world !== undefined) {
      channel.close();
      for (let value = channel.recv(); value !== undefined; value = channel.recv()) world.got[0]!.push(value);
      const all = world.got.flat().sort((a, b) => a - b);
      if (all.join() !== '1,2,3,4,5,6')
        throw new Error(`received ${world.got.map((list) => list.join()).join(' | ')}`);
    }
    channel.destroy();
  },
  world: () => ({ got: [[], [], [], []], sent: 0 }),
  threads: [receiveSpoilt, receiveSome(3), receiveSome(2)].map(
    (part, i) => (heap: Heap, handle: Handle, world: World) => {
      const channel = Channel.open(heap, handle);
      return () => part(channel, world, i + 1);
    },
  ),
});

/** A receiver whose time is up takes nothing: what comes then is the other one's, or its own next time. */
const receiveInTime: Part = (channel, { got }, thread) => {
  for (let tries = 0; tries < 2; tries++) {
    const value = channel.recv({ timeout: tries });
    if (value !== undefined) got[thread]!.push(value);
  }
};
const sendAndClose: Part = (channel) => {
  channel.send(1);
  channel.send(2);
  channel.close();
};
export const timeIsUp = through(1, [1, 2], [sendAndClose, receiveInTime, receiveAll]);
export const timeIsUpAsync = through(
  1,
  [1, 2],
  [
    sendAndClose,
    async (channel, { got }, thread) => {
      const some = await channel.recvManyAsync(2, [], { timeout: 1 });
      got[thread]!.push(...some);
    },
    async (channel, { got }, thread) => {
      for (let value = await channel.recvAsync(); value !== undefined; value = await channel.recvAsync())
        got[thread]!.push(value);
    },
  ],
);

/** Tasks that wait without blocking, beside threads that block. */
const sendAsync =
  (...values: number[]): Part =>
  async (channel) => {
    for (const value of values) await channel.sendAsync(value);
  };
const receiveAsync =
  (count: number): Part =>
  async (channel, { got }, thread) => {
    for (let left = count; left > 0; left--) got[thread]!.push((await channel.recvAsync())!);
  };

export const oneByOneAsync = through(1, [1, 2], [sendAsync(1, 2), receiveAsync(2)]);
export const asyncReceivers = through(1, [1, 2], [send(1, 2), receiveAsync(1), receive(1)]);
export const asyncSenders = through(1, [1, 11], [sendAsync(1), send(11), receiveAsync(2)]);
export const asyncUntilClosed = through(
  1,
  [1, 2],
  [
    async (channel) => {
      await channel.sendAllAsync([1, 2]);
      channel.close();
    },
    async (channel, { got }, thread) => {
      for (let value = await channel.recvAsync(); value !== undefined; value = await channel.recvAsync())
        got[thread]!.push(value);
    },
  ],
);

export const tries = through(
  1,
  [1],
  [
    (channel, world) => {
      while (channel.trySend(1) === 'full') world.sent++;
      channel.trySend(2);
      channel.close();
    },
    (channel, { got }, thread) => {
      const value = channel.recv();
      got[thread]!.push(value!);
      while (channel.tryRecv().status === 'received');
    },
  ],
);

const Job = struct('Job', { id: u32, a: f64, b: f64 });

/** Structs by value: a receiver sees all of one, or nothing. */
export const structs: Scenario = onPlainHeap({
  races,
  prepare: (heap) => Channel.create(heap, Job, { capacity: 1 }).handle,
  finish(heap, handle) {
    Channel.open(heap, handle, Job).destroy();
  },
  threads: [
    (heap, handle) => {
      const channel = Channel.open(heap, handle, Job);
      return () => {
        channel.send({ id: 1, a: 1, b: 1 });
        channel.send({ id: 2, a: 2, b: 2 });
      };
    },
    (heap, handle) => {
      const channel = Channel.open(heap, handle, Job);
      return () => {
        for (let id = 1; id <= 2; id++) {
          const job = channel.recv()!;
          if (job.id !== id || job.a !== id || job.b !== id)
            throw new Error(`half a struct: ${JSON.stringify(job)}`);
        }
      };
    },
  ],
});

/** A box moves from its sender to whoever opens its handle. */
export const boxMoved: Scenario = onPlainHeap<Handle, { got: number }>({
  races,
  prepare: (heap) => Channel.create(heap, u32, { capacity: 1 }).handle as Handle,
  finish(heap, handle) {
    Channel.open(heap, handle).destroy();
  },
  world: () => ({ got: 0 }),
  threads: [
    (heap, handle) => {
      const channel = Channel.open(heap, handle);
      return () => {
        const box = Box.create(heap, Job, { id: 5 });
        channel.send(box.intoAddress());
      };
    },
    (heap, handle, world) => {
      const channel = Channel.open(heap, handle);
      return () => {
        const box = Box.fromAddress(heap, channel.recv() as never, Job);
        world.got = box.value.id;
        if (world.got !== 5) throw new Error(`the box holds ${world.got}`);
        box.drop();
      };
    },
  ],
});

// ── Rings ───────────────────────────────────────────────────────────────────────────────────────

type RingPart = (ring: SpscRing<number>, world: World) => void;

function alongRing(capacity: number, expected: number, parts: readonly RingPart[]): Scenario {
  return onPlainHeap<SpscRingHandle<number>, World>({
    races,
    prepare: (heap) => SpscRing.create(heap, f64, { capacity }).handle,
    finish(heap, handle, world) {
      SpscRing.open(heap, handle).destroy();
      const all = world?.got.flat() ?? [];
      const inOrder = Array.from({ length: expected }, (_, i) => i + 1);
      if (world !== undefined && all.join() !== inOrder.join()) throw new Error(`received ${all.join()}`);
    },
    world: () => ({ got: [[]], sent: 0 }),
    threads: parts.map((part) => (heap: Heap, handle: SpscRingHandle<number>, world: World) => {
      const ring = SpscRing.open(heap, handle);
      return () => part(ring, world);
    }),
  });
}

const drain: RingPart = (ring, { got }) => {
  for (let value = ring.recv(); value !== undefined; value = ring.recv()) got[0]!.push(value);
};

export const ring = alongRing(2, 3, [
  (made) => {
    for (let value = 1; value <= 3; value++) made.send(value);
    made.close();
  },
  drain,
]);

export const ringOfOne = alongRing(1, 2, [
  (made) => {
    made.send(1);
    made.send(2);
    made.close();
  },
  drain,
]);

export const ringRuns = alongRing(2, 4, [
  (made) => {
    made.sendAll([1, 2, 3, 4]);
    made.close();
  },
  (made, { got }) => {
    for (;;) {
      const some = made.recvMany(4);
      if (some.length === 0) return;
      got[0]!.push(...some);
    }
  },
]);

/** Some other thread closes the ring: the consumer gets what was sent before, and no more. */
export const ringClosed: Scenario = onPlainHeap<SpscRingHandle<number>, World>({
  races,
  prepare: (heap) => SpscRing.create(heap, f64, { capacity: 1 }).handle,
  finish(heap, handle, world) {
    SpscRing.open(heap, handle).destroy();
    const count = world?.got.flat().length ?? 0;
    if (world !== undefined && count !== world.sent)
      throw new Error(`${world.sent} were sent, ${count} came`);
  },
  world: () => ({ got: [[]], sent: 0 }),
  threads: [
    (heap, handle, world) => {
      const made = SpscRing.open(heap, handle);
      return () => {
        try {
          for (let value = 1; value <= 2; value++) {
            made.send(value);
            world.sent++;
          }
        } catch (error) {
          if ((error as Error).name !== 'ClosedError') throw error;
        }
      };
    },
    (heap, handle, world) => {
      const made = SpscRing.open(heap, handle);
      return () => drain(made, world);
    },
    (heap, handle) => {
      const made = SpscRing.open(heap, handle);
      return () => {
        made.close();
      };
    },
  ],
});
