/**
 * Crew: the threads of a workload. The child process makes the subject, starts workers that open it, and
 * waits for their numbers. Workers meet at a board before they start their clocks.
 */

import { Worker } from 'node:worker_threads';
import { Rendezvous } from '../test/stress/rendezvous.ts';
import type { Job, Numbers } from './job.ts';
import type { Site } from './subject.ts';

const MEMBER = new URL('../workers/bench/member.js', import.meta.url);

/** What a worker is told. */
export interface Orders {
  readonly job: Job;
  /** The part's name in the table of `parts.ts`. */
  readonly part: string;
  /** From 1. */
  readonly member: number;
  readonly members: number;
  readonly ticket: unknown;
  /** The board that the members meet at. */
  readonly board: SharedArrayBuffer;
  /** Words that the members share besides the subject. */
  readonly words: SharedArrayBuffer;
  /** The part's own. */
  readonly round: number;
}

/** What a part of a workload works with. */
export interface Part extends Omit<Orders, 'board' | 'words' | 'ticket' | 'part'> {
  /** Undefined where the subject is V8 itself. */
  readonly site: Site | undefined;
  readonly board: Rendezvous;
  readonly words: Uint32Array;
}

/** What members share. */
export interface Common {
  readonly board: Rendezvous;
  readonly words: SharedArrayBuffer;
}

/** Makes a board with so many slots, and so many words. */
export function makeCommon(members: number, slots: number, words: number): Common {
  return { board: new Rendezvous(members, slots), words: new SharedArrayBuffer(Math.max(words, 1) * 4) };
}

/** Runs a part in every member. Returns their numbers once all threads have ended. */
export async function runCrew(
  job: Job,
  part: string,
  members: number,
  site: Site | undefined,
  { board, words }: Common,
  round = 0,
): Promise<Numbers[]> {
  const ticket = site?.ticket;
  const starts = Array.from({ length: members }, (_, index): Orders => {
    return { job, part, member: index + 1, members, ticket, board: board.buffer, words, round };
  });
  return await Promise.all(starts.map(runMember));
}

function runMember(orders: Orders): Promise<Numbers> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(MEMBER, { workerData: orders });
    let numbers: Numbers | undefined;
    worker.once('message', (message: Numbers) => {
      numbers = message;
    });
    worker.once('error', reject);
    worker.once('exit', () => {
      if (numbers === undefined) reject(new Error(`member ${orders.member} ended without an answer`));
      else resolve(numbers);
    });
  });
}

/** When a member worked: milliseconds that all threads count alike. */
export function clock(): number {
  return performance.timeOrigin + performance.now();
}

/** Seconds from the first member's start to the last one's end. */
export function secondsOf(all: readonly Numbers[]): number {
  const began = Math.min(...all.map((numbers) => numbers.began!));
  const ended = Math.max(...all.map((numbers) => numbers.ended!));
  return (ended - began) / 1000;
}

/** Σ of a metric. */
export function total(all: readonly Numbers[], metric: string): number {
  return all.reduce((sum, numbers) => sum + (numbers[metric] ?? 0), 0);
}

/**
 * Looks whether the subject is whole and has all of its room again.
 *
 * @throws when it is not
 */
export function checkSite(site: Site | undefined, largestAtFirst: number | undefined): void {
  site?.verify?.();
  const largest = site?.largestFree?.();
  if (largest !== largestAtFirst) {
    throw new Error(
      `wrong: largestFree was ${largestAtFirst} at first, and is ${largest} with all blocks freed`,
    );
  }
}
