/**
 * Channel: addresses from one thread to another, one at a time or in batches of 256. The consumer checks
 * that they arrive in order.
 *
 *     channel     Channel of u32, 1,024 cells
 *     spsc-ring   SpscRing of u32, 1,024 cells
 *     messages    `postMessage` of a number
 */

import { Worker } from 'node:worker_threads';
import { Channel, MiB, SpscRing, u32 } from '../../src/index.ts';
import { clock, makeCommon, type Part, runCrew, secondsOf } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { createSite } from '../subject-table.ts';

const CAPACITY = 1024;
const ROOT = 'channel';

/** `rate`: messages a second; options `batch` (1: no batches), `count`. */
export async function measureChannel(job: Job): Promise<Numbers> {
  if (job.subject === 'messages') return { rate: await measureMessages(option(job, 'count', 100_000)) };
  const site = createSite('heap', 16 * MiB);
  const heap = site.heap!;
  const channel =
    job.subject === 'channel'
      ? Channel.create(heap, u32, { capacity: CAPACITY })
      : SpscRing.create(heap, u32, { capacity: CAPACITY });
  heap.roots.set(ROOT, channel);
  const all = await runCrew(job, 'channel', 2, site, makeCommon(2, 0, 0));
  return { rate: option(job, 'count', 100_000) / secondsOf(all) };
}

/** Member 1 sends, member 2 receives. */
export function channelPart({ site, board, member, job }: Part): Numbers {
  const { roots } = site!.heap!;
  const channel =
    job.subject === 'channel' ? roots.open(ROOT, Channel.type(u32))! : roots.open(ROOT, SpscRing.type(u32))!;
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
  const values = new Array<number>(batch).fill(0);
  for (let i = 0; i < count; i += values.length) {
    values.length = Math.min(batch, count - i);
    for (let at = 0; at < values.length; at++) values[at] = i + at;
    channel.sendAll(values);
  }
}

function receive(channel: Ends, count: number, batch: number): void {
  if (batch === 1) {
    for (let i = 0; i < count; i++) if (channel.recv() !== i) throw new Error('out of order');
    return;
  }
  const into: number[] = [];
  for (let i = 0; i < count; ) {
    into.length = 0;
    for (const value of channel.recvMany(batch, into)) if (value !== i++) throw new Error('out of order');
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
