/**
 * Channel: addresses from one thread to another, one at a time (1,024 cells) or in batches of 256 (16,384
 * cells, out of a Uint32Array). The consumer checks that they arrive in order.
 *
 *     channel     Channel of u32
 *     spsc-ring   SpscRing of u32
 *     messages    `postMessage` of a number: streamed, or each answered before the next is sent
 */

import { Worker } from 'node:worker_threads';
import { Channel, MiB, SpscRing, u32 } from '../../src/index.ts';
import { clock, makeCommon, type Part, runCrew, secondsOf } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { createSite } from '../subject-table.ts';

const CAPACITY = 1024;
const BATCH_CAPACITY = 16_384;
const ROOT = 'channel';

/** `rate`: messages a second, there and back being one; options `batch` (1: no batches), `count`, `answered`. */
export async function measureChannel(job: Job): Promise<Numbers> {
  if (job.subject === 'messages') {
    const measure = option(job, 'answered', 0) === 1 ? measureRoundTrips : measureMessages;
    return { rate: await measure(option(job, 'count', 100_000)) };
  }
  const capacity = option(job, 'batch', 1) === 1 ? CAPACITY : BATCH_CAPACITY;
  const site = createSite('heap', 16 * MiB);
  const heap = site.heap!;
  const channel =
    job.subject === 'channel'
      ? Channel.create(heap, u32, { capacity })
      : SpscRing.create(heap, u32, { capacity });
  heap.roots.set(ROOT, channel);
  // The members open the heap, and in it the queue.
  const options = { ...job.options, ring: Number(job.subject === 'spsc-ring') };
  const all = await runCrew({ ...job, subject: 'heap', options }, 'channel', 2, site, makeCommon(2, 0, 0));
  return { rate: option(job, 'count', 100_000) / secondsOf(all) };
}

/** Member 1 sends, member 2 receives. */
export function channelPart({ site, board, member, job }: Part): Numbers {
  const { roots } = site!.heap!;
  const channel =
    option(job, 'ring', 0) === 0
      ? roots.open(ROOT, Channel.type(u32))!
      : roots.open(ROOT, SpscRing.type(u32))!;
  const batch = option(job, 'batch', 1);
  const count = option(job, 'count', 100_000);
  const go = member === 1 ? send : receive;
  board.meet();
  // What comes before the clock starts is for the compiler.
  go(channel, Math.min(count, 100_000), batch);
  board.meet();
  const began = clock();
  go(channel, count, batch);
  return { began, ended: clock() };
}

type Ends = Pick<Channel<number>, 'send' | 'recv' | 'sendAll' | 'recvMany'>;

function send(channel: Ends, count: number, batch: number): void {
  if (batch === 1) {
    for (let i = 0; i < count; i++) channel.send(i);
    return;
  }
  const values = new Uint32Array(batch);
  for (let i = 0; i < count; i += batch) {
    const some = count - i < batch ? values.subarray(0, count - i) : values;
    for (let at = 0; at < some.length; at++) some[at] = i + at;
    channel.sendAll(some);
  }
}

function receive(channel: Ends, count: number, batch: number): void {
  if (batch === 1) {
    for (let i = 0; i < count; i++) if (channel.recv() !== i) throw new Error('out of order');
    return;
  }
  const into: number[] = [];
  for (let i = 0; i < count; ) {
    for (const value of channel.recvMany(Math.min(batch, count - i), into))
      if (value !== i++) throw new Error('out of order');
  }
}

async function measureMessages(count: number): Promise<number> {
  const worker = new Worker(new URL('../../workers/bench/counter.js', import.meta.url), {
    workerData: { count },
  });
  return await new Promise((resolve, reject) => {
    let expected = 0;
    let began = 0;
    worker.on('error', reject);
    worker.on('message', (value: number) => {
      if (value !== expected++) reject(new Error('out of order'));
      // The first ones are for the compiler.
      if (expected === count) began = clock();
      if (expected === 2 * count) resolve(count / ((clock() - began) / 1000));
    });
  });
}

async function measureRoundTrips(count: number): Promise<number> {
  const worker = new Worker(new URL('../../workers/bench/echo.js', import.meta.url));
  return await new Promise((resolve, reject) => {
    let left = 2 * count;
    let began = 0;
    worker.on('error', reject);
    worker.on('message', () => {
      // The first ones are for the compiler.
      if (--left === count) began = clock();
      if (left > 0) worker.postMessage(left);
      else {
        resolve(count / ((clock() - began) / 1000));
        void worker.terminate();
      }
    });
    worker.postMessage(left);
  });
}
