/**
 * The referee: starts the workers of a stress run, kills them at random and starts others, and checks in the
 * end that nothing was lost, doubled or spoilt. It sees every death at the 'exit' of the worker,
 * or soon after where that comes early.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type AllocatorStats, Heap, MiB, NULL } from '../../src/index.ts';
import { EXITS_EARLY, type Kills, wayToDie } from './deaths.ts';
import type { StressOptions } from './options.ts';
import { randomFrom, type Scenario } from './scenario.ts';
import { freeLeftBehind } from './scenarios/blocks.ts';
import { type ScenarioName, scenarioNamed } from './scenarios.ts';
import {
  EXHAUST,
  EXIT,
  GO_ON,
  LEAVE,
  ORDERED,
  Seat,
  type StresserData,
  type StresserReport,
  THROW,
} from './seat.ts';

const HEAP_BYTES = 64 * MiB;
/** So that a worker that is told to fills its JavaScript heap soon. */
const LIMITS = { maxOldGenerationSizeMb: 40 } as const;
/** A worker that has not done its first operations by then does not start. */
const STARTS_MS = 120_000;

/** Each seat's part, however slow the machine. */
const LEAST_OPERATIONS = 200;

/** What the run came to. */
export interface StressReport {
  readonly seed: number;
  readonly seconds: number;
  readonly operations: number;
  readonly kills: Kills;
  /** Threads that were reaped: those of the dead that had attached. */
  readonly reaped: number;
  /** Blocks that the dead left between two hands. */
  readonly leftBehind: number;
  /** What is not as it has to be. */
  readonly differences: readonly string[];
}

interface Seated {
  worker: Worker;
  threadId: number;
  /** How the worker is to end, once that is decided. */
  fate: keyof Kills | 'leave' | undefined;
  /** What it has done, and when it was last seen to do anything: or was started. */
  operations: number;
  activeAt: number;
}

/** One run. */
export class Referee {
  readonly #options: StressOptions;
  /** Who does nothing for so long hangs: a wait for a lock is given up after half of it. */
  readonly #patienceMs: number;
  readonly #heap: Heap;
  readonly #before: AllocatorStats;
  readonly #random: (limit: number) => number;
  readonly #scenarios: [ScenarioName, Scenario, object][];
  readonly #seats: ReturnType<typeof Seat.array>;
  readonly #seated: (Seated | undefined)[] = [];
  readonly #differences: string[] = [];
  readonly #kills: Kills = { terminated: 0, exited: 0, threw: 0, exhausted: 0 };
  #reaped = 0;
  #leftBehind = 0;
  #operations = 0;
  #started = 0;
  #ending = false;

  constructor(options: StressOptions) {
    const { allocator, cache, threads, seed, only, patience } = options;
    this.#options = options;
    this.#patienceMs = patience * 1000;
    this.#random = randomFrom(seed);
    this.#heap = Heap.create({
      byteLength: HEAP_BYTES,
      allocator,
      cache,
      lockTimeout: this.#patienceMs / 2,
    });
    this.#before = this.#heap.stats();
    this.#seats = Seat.array(this.#heap, threads);
    this.#heap.share(this.#seats.address);
    this.#scenarios = only.map((name) => {
      const scenario = scenarioNamed(name);
      return [name, scenario, scenario.create(this.#heap)];
    });
  }

  /** How many workers were killed. */
  get deaths(): number {
    return Object.values(this.#kills).reduce((sum, count) => sum + count, 0);
  }

  async run(tell: (line: string) => void): Promise<StressReport> {
    const { threads, seconds, kills, seed, kill } = this.#options;
    const began = performance.now();
    const isOver = () =>
      performance.now() - began >= seconds * 1000 &&
      this.deaths >= kills &&
      this.#done() >= LEAST_OPERATIONS * threads;
    for (let seat = 0; seat < threads; seat++) this.#start(seat);
    const progress = setInterval(() => tell(this.#progress(performance.now() - began)), 1000);
    while (!isOver() && this.#differences.length === 0) {
      await sleep(kill === 0 ? 50 : Math.min(500, (this.#random(2000) + 1) / kill));
      if (kill > 0) this.#killOne();
      this.#findHanging();
    }
    await this.#end();
    clearInterval(progress);
    if (this.#differences.length === 0) this.#check();
    return {
      seed,
      seconds: (performance.now() - began) / 1000,
      operations: this.#operations,
      kills: this.#kills,
      reaped: this.#reaped,
      leftBehind: this.#leftBehind,
      differences: this.#differences,
    };
  }

  // ── Workers come and go ─────────────────────────────────────────────────────────────────────────

  #start(seat: number): void {
    const cell = this.#seats.at(seat);
    cell.order.store(GO_ON);
    cell.operations.store(0);
    const workerData: StresserData = {
      heap: this.#heap.handle,
      seats: this.#seats.handle,
      seat,
      seed: this.#options.seed + 1 + this.#started++,
      scenarios: this.#scenarios.map(([name, , handle]) => [name, handle]),
    };
    const worker = new Worker(new URL('./stresser.js', import.meta.url), {
      workerData,
      resourceLimits: LIMITS,
      stderr: true,
    });
    const { threadId } = worker;
    const seated: Seated = { worker, threadId, fate: undefined, operations: 0, activeAt: performance.now() };
    this.#seated[seat] = seated;
    this.#heap.watch(worker, {
      reclaim: true,
      onReaped: () => this.#reaped++,
      onFailed: (error) =>
        this.#differences.push(`thread ${threadId} was not reaped: ${(error as Error).stack}`),
    });
    worker.on('message', ({ operations }: StresserReport) => {
      seated.operations = operations;
    });
    worker.on('error', (error: Error & { code?: string }) => this.#judge(seat, seated, error));
    worker.on('exit', () => void this.#exited(seat, seated));
  }

  /** An error that was not ordered is a difference. */
  #judge(seat: number, { fate, threadId }: Seated, error: Error & { code?: string }): void {
    if (fate === 'threw' && error.message === ORDERED) return;
    if (fate === 'exhausted' && error.code === 'ERR_WORKER_OUT_OF_MEMORY') return;
    this.#differences.push(
      `thread ${threadId} in seat ${seat} failed (${fate ?? 'at work'}): ${error.stack}`,
    );
  }

  async #exited(seat: number, seated: Seated): Promise<void> {
    const { fate, threadId } = seated;
    const deadline = performance.now() + (EXITS_EARLY ? this.#patienceMs / 2 : 0);
    while (this.#isAttached(threadId) && performance.now() < deadline) await sleep(5);
    this.#seated[seat] = undefined;
    this.#operations += Math.max(seated.operations, this.#seats.at(seat).operations.load());
    if (fate === undefined && this.#differences.length === 0) {
      this.#differences.push(`thread ${threadId} in seat ${seat} ended, and was not told to`);
    }
    this.#expectReaped(threadId);
    if (!this.#ending && this.#differences.length === 0) this.#start(seat);
  }

  /** What kept the heap from reaping comes out when it is told to once more. */
  #expectReaped(threadId: number): void {
    if (!this.#isAttached(threadId)) return;
    try {
      this.#heap.reap(threadId, { reclaim: true });
      this.#differences.push(`thread ${threadId} was reaped only when told to`);
    } catch (error) {
      this.#differences.push(`thread ${threadId} cannot be reaped: ${(error as Error).stack}`);
    }
  }

  #isAttached(threadId: number): boolean {
    return this.#heap.threads().some((thread) => thread.threadId === threadId);
  }

  #killOne(): void {
    const seat = this.#random(this.#options.threads);
    const seated = this.#seated[seat];
    if (seated === undefined || seated.fate !== undefined) return;
    // Few die at their start; the others have left something to find.
    if (this.#seats.at(seat).operations.load() < this.#random(1000) && this.#random(50) > 0) return;
    const way = wayToDie(this.#random(100));
    if (way === 'terminated') void seated.worker.terminate();
    else this.#seats.at(seat).order.store({ exited: EXIT, threw: THROW, exhausted: EXHAUST }[way]);
    seated.fate = way;
    this.#kills[way]++;
  }

  #findHanging(): void {
    const now = performance.now();
    for (const [seat, seated] of this.#seated.entries()) {
      if (seated === undefined) continue;
      const operations = this.#seats.at(seat).operations.load();
      if (operations !== seated.operations) {
        seated.operations = operations;
        seated.activeAt = now;
      } else if (now - seated.activeAt > (operations === 0 ? STARTS_MS : this.#patienceMs)) {
        this.#differences.push(
          `thread ${seated.threadId} in seat ${seat} hangs (${seated.fate ?? 'at work'})`,
        );
        seated.activeAt = now;
      }
    }
  }

  /** Has all workers leave; those that do not are terminated. */
  async #end(): Promise<void> {
    this.#ending = true;
    for (const [seat, seated] of this.#seated.entries()) {
      if (seated === undefined || seated.fate !== undefined) continue;
      seated.fate = 'leave';
      this.#seats.at(seat).order.store(LEAVE);
    }
    const deadline = performance.now() + this.#patienceMs;
    while (this.#seated.some((seated) => seated !== undefined) && performance.now() < deadline)
      await sleep(5);
    const stuck = this.#seated.filter((seated) => seated !== undefined);
    for (const { threadId, fate } of stuck)
      this.#differences.push(`thread ${threadId} does not end (${fate})`);
    await Promise.all(stuck.map(({ worker }) => worker.terminate()));
  }

  // ── Afterwards ──────────────────────────────────────────────────────────────────────────────────

  #check(): void {
    const heap = this.#heap;
    this.#try('the heap', () => heap.verify());
    this.#try('the threads', () => {
      const { length } = heap.threads();
      if (length !== 1) throw new Error(`${length - 1} threads have not left`);
      if (this.#reaped > this.deaths)
        throw new Error(`${this.#reaped} threads were reaped, ${this.deaths} died`);
    });
    for (const [name, scenario, handle] of this.#scenarios) {
      this.#try(name, () => scenario.finish(heap, handle, this.deaths));
    }
    this.#seats.free();
    this.#try('the blocks that are left', () => {
      this.#leftBehind = freeLeftBehind(heap, this.deaths);
    });
    this.#try('the empty heap', () => {
      heap.flush();
      heap.verify();
      const { liveBlocks, largestFree, used } = heap.stats();
      const { largestFree: largest, used: usedBefore } = this.#before;
      if (liveBlocks !== 0) throw new Error(`${liveBlocks} blocks are live`);
      if (used !== usedBefore) throw new Error(`${usedBefore} bytes were used, now it is ${used}`);
      if (largestFree !== largest) throw new Error(`largestFree was ${largest}, now it is ${largestFree}`);
      const whole = heap.alloc(largestFree);
      if (whole === NULL) throw new Error(`no block of ${largestFree} bytes can be had`);
      heap.free(whole);
    });
  }

  #try(what: string, check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#differences.push(`${what}: ${(error as Error).stack}`);
    }
  }

  /** Operations so far, of all workers. */
  #done(): number {
    return this.#seated.reduce(
      (sum, seated, seat) => sum + (seated === undefined ? 0 : this.#seats.at(seat).operations.load()),
      this.#operations,
    );
  }

  #progress(ms: number): string {
    const { liveBlocks, used } = this.#heap.stats();
    const { terminated, exited, threw, exhausted } = this.#kills;
    return (
      `${(ms / 1000).toFixed(0).padStart(5)} s  ${this.#done()} operations  ${this.deaths} kills ` +
      `(${terminated} terminated, ${exited} exited, ${threw} threw, ${exhausted} exhausted)  ` +
      `${this.#reaped} reaped  ${liveBlocks} live blocks, ${(used / MiB).toFixed(1)} MiB`
    );
  }
}
