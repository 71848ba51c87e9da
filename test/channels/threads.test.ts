/** Queues among threads: what was sent is received once, in each sender's order; closing loses nothing. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import type { QueueUserJob, QueueUserReport } from '../../workers/test-threads/queue-user.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 8 * MiB });
});
afterEach(() => heap.detach());

interface Plan {
  readonly senders: number;
  readonly receivers: number;
  readonly count: number;
  readonly batch: number;
  /** Ms after which two threads close it; else it is closed when all have sent. */
  readonly closeAfter?: number;
}

async function run(queue: Channel<number> | SpscRing<number>, plan: Plan) {
  const { senders, receivers, count, batch, closeAfter } = plan;
  const closers = closeAfter === undefined ? 0 : 2;
  const parties = senders + receivers + closers;
  const meeting = new Rendezvous(parties);
  const base = { heap: heap.handle, queue: queue.handle, meeting: meeting.buffer, parties, batch };
  const job = (role: QueueUserJob['role'], first: number): QueueUserJob => ({
    ...base,
    role,
    first,
    step: senders,
    end: count,
  });
  const crew = (jobs: QueueUserJob[]) => runCrew<QueueUserJob, QueueUserReport>('queue-user', jobs);
  const closing = crew(Array.from({ length: closers }, () => job('close', closeAfter ?? 0)));
  const sending = crew(Array.from({ length: senders }, (_, index) => job('send', index)));
  const receiving = crew(Array.from({ length: receivers }, () => job('receive', 0)));
  const sent = await sending;
  await closing;
  queue.close();
  const received = await receiving;
  return { sent: sent.map((report) => report.sent), received: received.map((report) => report.received) };
}

/** Each number once, and each receiver has those of a sender in their order. */
function checkOnce(plan: Plan, { sent, received }: Awaited<ReturnType<typeof run>>): void {
  const seen = new Uint8Array(plan.count);
  let faults = 0;
  for (const numbers of received) {
    const last = Array.from({ length: plan.senders }, () => -1);
    for (const number of numbers) {
      const sender = number % plan.senders;
      // Not twice, and after those that the same sender has sent before.
      if (seen[number] !== 0 || number <= last[sender]!) faults++;
      seen[number] = 1;
      last[sender] = number;
    }
  }
  expect(faults).toBe(0);
  const total = sent.reduce((sum, each) => sum + each, 0);
  expect(seen.reduce((sum, each) => sum + each, 0)).toBe(total);
  if (plan.closeAfter === undefined) expect(total).toBe(plan.count);
}

describe.each([
  { senders: 1, receivers: 1, count: 60_000, batch: 1, capacity: 64 },
  { senders: 2, receivers: 2, count: 60_000, batch: 1, capacity: 64 },
  { senders: 2, receivers: 2, count: 100_000, batch: 50, capacity: 100 },
  { senders: 3, receivers: 1, count: 40_000, batch: 7, capacity: 5 },
  { senders: 1, receivers: 3, count: 40_000, batch: 3, capacity: 3 },
  { senders: 2, receivers: 2, count: 3_000, batch: 1, capacity: 1 },
])('$senders senders, $receivers receivers, $batch at a time, room for $capacity', (plan) => {
  test('every item arrives once', async () => {
    const channel = Channel.create(heap, u32, plan);
    checkOnce(plan, await run(channel, plan));
    expect(channel.drained).toBe(true);
    channel.destroy();
    heap.verify();
    expect(heap.stats().liveBlocks).toBe(0);
  });
});

test.each([0, 5, 20])('two threads close it after %d ms: what was sent arrives, nothing else', async (ms) => {
  const plan = { senders: 2, receivers: 2, count: 5_000_000, batch: ms === 5 ? 20 : 1, closeAfter: ms };
  const channel = Channel.create(heap, u32, { capacity: 16 });
  checkOnce(plan, await run(channel, plan));
  channel.destroy();
  expect(heap.stats().liveBlocks).toBe(0);
});

test.each([
  [1, 4],
  [100, 64],
])('a ring: %d at a time, room for %d', async (batch, capacity) => {
  const plan = { senders: 1, receivers: 1, count: 100_000, batch };
  const ring = SpscRing.create(heap, u32, { capacity });
  checkOnce(plan, await run(ring, plan));
  ring.destroy();
  expect(heap.stats().liveBlocks).toBe(0);
});

test('a ring that is closed in between', async () => {
  const plan = { senders: 1, receivers: 1, count: 5_000_000, batch: 1, closeAfter: 5 };
  const ring = SpscRing.create(heap, u32, { capacity: 16 });
  checkOnce(plan, await run(ring, plan));
  ring.destroy();
});
