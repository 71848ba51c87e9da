/**
 * Hand-off: a graph of 10,000 small objects goes to another thread and back.
 *
 *     heap        a tree of boxes; the address of its root goes through a channel
 *     messages    a tree of plain objects; `postMessage` clones it
 *
 *     alone       there and back again, nothing else
 *     whole       built here, handed off, read there to its last field, dropped there, the sum sent back
 *
 * The sum is compared each time.
 */

import { Worker } from 'node:worker_threads';
import { Box, box, Channel, f64, type Heap, MiB, struct, u32, type View } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { createSite } from '../subject-table.ts';

const OBJECTS = 10_000;
const WARM_UPS = 20;
const WHOLE = 1;

const Item = struct('Item', {
  id: u32,
  x: f64,
  y: f64,
  get left() {
    return box(Item);
  },
  get right() {
    return box(Item);
  },
});

/** The same as a plain object. */
export interface PlainItem {
  readonly id: number;
  readonly x: number;
  readonly y: number;
  readonly left: PlainItem | null;
  readonly right: PlainItem | null;
}

const SUM = sumOf(buildPlain(1, OBJECTS));

/** `ns` of one turn; options `whole`, `turns`. */
export async function measureHandOff(job: Job): Promise<Numbers> {
  if (job.subject === 'messages') return { ns: await measureMessages(job) };
  const site = createSite(job.subject, 64 * MiB);
  const largest = site.largestFree?.();
  const heap = site.heap!;
  const [there, back] = [channelNamed(heap, 'there'), channelNamed(heap, 'back')];
  const sums = Channel.create(heap, f64, { capacity: 2 });
  heap.roots.set('sums', sums);
  const all = await runCrew(job, 'hand-off', 2, site, makeCommon(2, 0, 0));
  for (const name of heap.roots.names()) heap.roots.delete(name);
  for (const channel of [there, back, sums]) channel.destroy();
  checkSite(site, largest);
  return { ns: all[0]!.ns! };
}

function channelNamed(heap: Heap, name: string) {
  const channel = Channel.create(heap, box(Item), { capacity: 2 });
  heap.roots.set(name, channel);
  return channel;
}

/** Member 1 builds and sends, member 2 answers. */
export function handOffPart({ site, member, job }: Part): Numbers {
  const heap = site!.heap!;
  const there = heap.roots.open('there', Channel.type(box(Item)))!;
  const back = heap.roots.open('back', Channel.type(box(Item)))!;
  const sums = heap.roots.open('sums', Channel.type(f64))!;
  if (member === 2) {
    for (const root of there) {
      if (option(job, 'whole', 0) !== WHOLE) {
        back.send(root);
        continue;
      }
      sums.send(sumOf(root.value));
      root.drop();
    }
    return {};
  }
  const turns = option(job, 'turns', 100);
  let root = build(heap, 1, OBJECTS);
  const alone = (): void => {
    there.send(root);
    root = back.recv()!;
  };
  const whole = (): void => {
    there.send(build(heap, 1, OBJECTS));
    if (sums.recv() !== SUM) throw new Error('wrong sum');
  };
  const ns = timed(option(job, 'whole', 0) === WHOLE ? whole : alone, turns);
  if (sumOf(root.value) !== SUM) throw new Error('wrong sum');
  root.drop();
  there.close();
  return { ns };
}

function timed(turn: () => void, turns: number): number {
  for (let i = 0; i < WARM_UPS; i++) turn();
  const began = clock();
  for (let i = 0; i < turns; i++) turn();
  return ((clock() - began) * 1e6) / turns;
}

function build(heap: Heap, first: number, count: number): Box<typeof Item> {
  const left = (count - 1) >> 1;
  const right = count - 1 - left;
  return Box.create(heap, Item, {
    id: first,
    x: first / 2,
    y: -first,
    left: left > 0 ? build(heap, first + 1, left) : null,
    right: right > 0 ? build(heap, first + 1 + left, right) : null,
  });
}

/** The same tree of plain objects. */
export function buildPlain(first: number, count: number): PlainItem {
  const left = (count - 1) >> 1;
  const right = count - 1 - left;
  return {
    id: first,
    x: first / 2,
    y: -first,
    left: left > 0 ? buildPlain(first + 1, left) : null,
    right: right > 0 ? buildPlain(first + 1 + left, right) : null,
  };
}

/** Reads all of a tree. */
export function sumOf({ id, x, y, left, right }: PlainItem | View<typeof Item>): number {
  return id + x + y + (left === null ? 0 : sumOf(left)) + (right === null ? 0 : sumOf(right));
}

/** A worker answers each message: with the graph itself, or with its sum. */
async function measureMessages(job: Job): Promise<number> {
  const whole = option(job, 'whole', 0) === WHOLE;
  const worker = new Worker(new URL('../../workers/bench/answerer.js', import.meta.url), {
    workerData: { whole },
  });
  const answer = (graph: PlainItem): Promise<unknown> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.postMessage(graph);
    });
  const turns = option(job, 'turns', 100);
  let graph = buildPlain(1, OBJECTS);
  const turn = async (): Promise<void> => {
    const got = await answer(whole ? buildPlain(1, OBJECTS) : graph);
    if (!whole) graph = got as PlainItem;
    else if (got !== SUM) throw new Error('wrong sum');
  };
  for (let i = 0; i < WARM_UPS; i++) await turn();
  const began = clock();
  for (let i = 0; i < turns; i++) await turn();
  const ns = ((clock() - began) * 1e6) / turns;
  await worker.terminate();
  if (sumOf(graph) !== SUM) throw new Error('wrong sum');
  return ns;
}
