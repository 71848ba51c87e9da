/**
 * xmalloc-test `-w N -t 5 -s 64`: N producers allocate, N consumers free: every free is remote.
 *
 *     producer ── batch of 4,096 objects of 64 bytes, filled ──▶ ring, at most 100 batches ──▶ consumer
 *
 * The batch itself is a block of the subject's too, as in the original. Every word of every object is
 * compared by the consumer.
 *
 *      ring, on the board: turn of each cell │ batch of each cell │ tail │ head
 *      a cell's turn is t for producer t, t + 1 for consumer t, then t + 100 for the next
 *
 * Source: C. Lever and D. Boreham, "malloc() performance in a multithreaded Linux environment", 2000.
 */

import { MiB } from '../../src/index.ts';
import { checkSite, clock, makeCommon, type Part, runCrew, secondsOf, total } from '../crew.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { Subject } from '../subject.ts';
import { createSite } from '../subject-table.ts';

const BATCH = 4096;
const OBJECT_WORDS = 16;
const QUEUED = 100;
const BATCHES = QUEUED;
const TAIL = 2 * QUEUED;
const HEAD = TAIL + 1;
const STOP = HEAD + 1;
/** What a producer sends as its last. */
const END = 0;

/** `rate`: frees a second. Threads: producers and consumers together. */
export async function measureXmalloc(job: Job): Promise<Numbers> {
  const threads = job.threads ?? 2;
  const site = createSite(job.subject, 256 * MiB);
  const largest = site.largestFree?.();
  const common = makeCommon(threads, STOP + 1, 0);
  for (let cell = 0; cell < QUEUED; cell++) common.board.store(cell, cell);
  const all = await runCrew(job, 'xmalloc', threads, site, common);
  checkSite(site, largest);
  return { rate: total(all, 'frees') / secondsOf(all) };
}

/** Odd members produce, even ones consume. */
export function xmallocPart(part: Part): Numbers {
  const { site, board, member, job } = part;
  const words = new Uint32Array(site!.buffer);
  board.meet();
  const began = clock();
  const frees = member % 2 === 1 ? produce(part, words, option(job, 'seconds', 5)) : consume(part, words);
  return { began, ended: clock(), frees };
}

function produce({ site, board }: Part, words: Uint32Array, seconds: number): number {
  const until = performance.now() + seconds * 1000;
  const { subject } = site!;
  while (performance.now() < until) {
    const batch = subject.alloc(BATCH * 4);
    if (batch === 0) throw new Error('no room');
    fillBatch(subject, words, batch);
    send(board, batch);
  }
  send(board, END);
  return 0;
}

function consume({ site, board }: Part, words: Uint32Array): number {
  const { subject } = site!;
  let frees = 0;
  for (let batch = receive(board); batch !== END; batch = receive(board)) {
    freeBatch(subject, words, batch);
    subject.free(batch);
    frees += BATCH;
  }
  return frees;
}

function send(board: Part['board'], batch: number): void {
  const ticket = board.add(TAIL, 1);
  const cell = ticket % QUEUED;
  board.await(cell, ticket);
  board.store(BATCHES + cell, batch);
  board.announce(cell, ticket + 1);
}

function receive(board: Part['board']): number {
  const ticket = board.add(HEAD, 1);
  const cell = ticket % QUEUED;
  board.await(cell, ticket + 1);
  const batch = board.load(BATCHES + cell) >>> 0;
  board.announce(cell, ticket + QUEUED);
  return batch;
}

function fillBatch(subject: Subject, words: Uint32Array, batch: number): void {
  for (let i = 0; i < BATCH; i++) {
    const object = subject.alloc(OBJECT_WORDS * 4);
    if (object === 0) throw new Error('no room');
    const first = object >>> 2;
    for (let word = 0; word < OBJECT_WORDS; word++) words[first + word] = object + i;
    words[(batch >>> 2) + i] = object;
  }
}

function freeBatch(subject: Subject, words: Uint32Array, batch: number): void {
  for (let i = 0; i < BATCH; i++) {
    const object = words[(batch >>> 2) + i]!;
    const first = object >>> 2;
    for (let word = 0; word < OBJECT_WORDS; word++) {
      if (words[first + word] !== object + i) throw new Error(`wrong contents at ${object}`);
    }
    subject.free(object);
  }
}
