/** Sync user: one of several threads that use a synchronisation object at once, with a result to check. */

import { parentPort, workerData } from 'node:worker_threads';
import {
  Barrier,
  Condition,
  Heap,
  type HeapHandle,
  Mutex,
  type MutexHandle,
  Once,
  RwLock,
  type RwLockHandle,
  Semaphore,
  struct,
  u32,
} from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

/** What the threads share; each test uses some of it. */
export const Scene = struct('Scene', { a: u32, b: u32, inside: u32, most: u32, length: u32, sum: u32 });

type Handle = Mutex['handle'] | RwLock['handle'] | Semaphore['handle'];

export interface SyncUserJob {
  readonly heap: HeapHandle;
  readonly act: keyof typeof acts;
  readonly handles: readonly Handle[];
  /** The address of a scene that nothing guards. */
  readonly scene: number;
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  /** 0 to parties - 1. */
  readonly member: number;
  readonly rounds: number;
}

const job = workerData as SyncUserJob;
const heap = Heap.attach(job.heap);
const meeting = new Rendezvous(job.parties, job.meeting);
const scene = heap.at(Scene, job.scene as never);
const { u32: words } = heap.memory;
const inside = Math.trunc(scene.address / 4) + 2;

/** Adds with plain loads and stores: without mutual exclusion additions get lost. */
function countMutex(): number {
  const mutex = Mutex.open(heap, job.handles[0] as MutexHandle, Scene);
  for (let i = 0; i < job.rounds; i++) {
    if (i % 3 === 0) {
      const guard = mutex.lock();
      guard.value.a++;
      guard.unlock();
    } else {
      mutex.with((value) => {
        value.a++;
        value.b = value.a;
      });
    }
  }
  return job.rounds;
}

async function countMutexAsync(): Promise<number> {
  const mutex = Mutex.open(heap, job.handles[0] as MutexHandle, Scene);
  const task = async (): Promise<void> => {
    for (let i = 0; i < job.rounds; i++) {
      await mutex.withAsync(async (value) => {
        const { a } = value;
        if (i % 8 === 0) await null;
        value.a = a + 1;
      });
    }
  };
  await Promise.all([task(), task()]);
  return job.rounds * 2;
}

/** One round in eight writes both halves of a pair, the others look whether they are equal. */
function readPairs(): number {
  const lock = RwLock.open(heap, job.handles[0] as RwLockHandle, Scene);
  let writes = 0;
  for (let i = 0; i < job.rounds; i++) {
    if ((i + job.member) % 8 === 0) {
      writes++;
      lock.write((value) => {
        value.a++;
        for (let turn = 0; turn < 50; turn++) if (value.b === value.a) throw new Error('not alone');
        value.b++;
      });
    } else {
      lock.read((value) => {
        const before = value.a;
        for (let turn = 0; turn < 20; turn++)
          if (value.b !== before) throw new Error('a half-written pair was seen');
      });
    }
  }
  return writes;
}

async function readPairsAsync(): Promise<number> {
  const lock = RwLock.open(heap, job.handles[0] as RwLockHandle, Scene);
  let writes = 0;
  for (let i = 0; i < job.rounds; i++) {
    if ((i + job.member) % 4 === 0) {
      writes++;
      await lock.writeAsync(async (value) => {
        value.a++;
        await null;
        value.b++;
      });
    } else {
      await lock.readAsync((value) => {
        if (value.a !== value.b) throw new Error('a half-written pair was seen');
      });
    }
  }
  return writes;
}

/** Never more inside than there are permits. */
async function useSemaphore(): Promise<number> {
  const semaphore = Semaphore.open(heap, job.handles[0]!);
  let most = 0;
  const visit = (count: number): void => {
    const now = visitors(count);
    most = Math.max(most, now);
    visitors(-count);
  };
  for (let i = 0; i < job.rounds; i++) {
    const count = 1 + (i % 2);
    if (i % 50 === 49) await semaphore.withAsync(() => visit(count), count);
    else if (i % 10 === 9) {
      if (!semaphore.tryAcquire(count)) continue;
      visit(count);
      semaphore.release(count);
    } else semaphore.with(() => visit(count), count);
  }
  if (semaphore.held !== 0) throw new Error(`${semaphore.held} permits are still recorded`);
  return most;
}

/** Adds to the meeting's word 0. Returns what it is then. */
function visitors(value: number): number {
  return meeting.add(0, value) + value;
}

/** Each round every thread adds to a cell; between two barriers the sum must be that of whole rounds. */
async function meetBarrier(): Promise<number> {
  const barrier = Barrier.open(heap, job.handles[0]!);
  let led = 0;
  for (let round = 1; round <= job.rounds; round++) {
    meeting.add(0, 1);
    const turn = round % 16 === 0 ? await barrier.waitAsync() : barrier.wait();
    if (turn.leader) led++;
    const sum = meeting.load(0);
    if (sum !== round * job.parties) throw new Error(`round ${round} ended with ${sum}`);
    barrier.wait();
  }
  return led;
}

/** The first two runs of each round fail; then one succeeds. */
async function runOnce(): Promise<number> {
  let ran = 0;
  for (const [round, handle] of job.handles.entries()) {
    const once = Once.open(heap, handle);
    meeting.meet();
    for (let tries = 0; !once.done; tries++) {
      const build = (): void => {
        if (meeting.add(round, 1) < 2) throw new Error('failed on purpose');
        words[inside]!++;
      };
      try {
        if ((round + job.member) % 4 === 0 ? await once.runAsync(build) : once.run(build)) ran++;
      } catch (error) {
        if ((error as Error).message !== 'failed on purpose' || tries > 3) throw error;
      }
    }
    if (words[inside] !== round + 1) throw new Error(`round ${round} was built ${words[inside]} times`);
  }
  return ran;
}

/** Even members put numbers into a bounded queue, odd ones take them out: a count and a sum stand for it. */
async function passThrough(): Promise<number> {
  const mutex = Mutex.open(heap, job.handles[0] as MutexHandle, Scene);
  const changed = Condition.open(heap, job.handles[1]!);
  let sum = 0;
  for (let i = 1; i <= job.rounds; i++) {
    const producing = job.member % 2 === 0;
    const ready = ({ length }: { readonly length: number }): boolean => (producing ? length < 4 : length > 0);
    const guard = i % 16 === 0 ? await mutex.lockAsync() : mutex.lock();
    if (i % 16 === 0) await changed.waitForAsync(guard, ready);
    else changed.waitFor(guard, ready);
    const { value } = guard;
    if (producing) {
      value.length++;
      value.sum += i;
      sum += i;
    } else {
      const taken = Math.trunc(value.sum / value.length);
      value.length--;
      value.sum -= taken;
      sum += taken;
    }
    if (i % 2 === 0) changed.notifyAll();
    guard.unlock();
    if (i % 2 === 1) changed.notifyAll();
  }
  return sum;
}

const acts = {
  countMutex,
  countMutexAsync,
  readPairs,
  readPairsAsync,
  useSemaphore,
  meetBarrier,
  runOnce,
  passThrough,
};

meeting.meet();
const result = await acts[job.act]();
heap.detach();
parentPort!.postMessage(result);
