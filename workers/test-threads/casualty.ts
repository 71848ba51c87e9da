/**
 * Casualties: how a thread may end with blocks that it owns, a cache full of others, and mostly a mutex in its hands.
 * For threads of their own (casualty-thread.ts) and for tasks of a pool (casualty-tasks.ts).
 */

import { type Address, type Heap, Mutex, type MutexHandle, struct, u32 } from '../../src/index.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';
import { STEP, WORD } from '../../test/stress/steps.ts';

/** What the mutex guards. */
export const Account = struct('Account', { writes: u32 });

/** What a casualty is told. */
export interface CasualtyJob {
  readonly end: End;
  readonly mutex: MutexHandle<typeof Account>;
  /** Its step is 1 once the thread has the lock; its word is then the address of the block that `fill` fills. */
  readonly meeting: SharedArrayBuffer;
  /** How long it holds the lock before it ends, in ms. */
  readonly holds: number;
}

const FILLED = 128 * 1024 * 1024;

const ends = {
  /** Gives all back and ends as a thread should. */
  well: () => {},
  /** Leaves the process's usual way out, in the middle of everything. */
  exit: (): never => process.exit(0),
  /** An error that nobody catches: a rejected task in a pool, the end of a thread of its own. */
  throw: (): never => {
    throw new Error('thrown on purpose');
  },
  /** An error outside any task: it ends a pool's thread too. */
  throwLater: async (): Promise<never> => {
    setImmediate(() => ends.throw());
    return new Promise<never>(() => {});
  },
  /** The same without the mutex. */
  throwUnlocked: (): never => ends.throw(),
  throwLaterUnlocked: (): Promise<never> => ends.throwLater(),
  /** Says by its exit code that it failed. */
  failUnlocked: (): never => process.exit(3),
  leaveUnlocked: (): never => ends.exit(),
  /** Uses up what `resourceLimits` leaves to its JavaScript heap. */
  exhaust: (): never => {
    for (const kept: number[][] = []; ; ) kept.push(new Array<number>(100_000).fill(kept.length + 0.5));
  },
  /** Runs until it is terminated. */
  spin: (_heap: Heap, account: { writes: number }): never => {
    for (;;) account.writes++;
  },
  /** Is in one long call of a built-in function most of the time, which nothing interrupts. */
  fill: (heap: Heap, _account: unknown, meeting: Rendezvous): never => {
    const address = heap.alloc(FILLED);
    meeting.announce(WORD, address);
    for (let byte = 1; ; byte = (byte + 1) % 256) heap.memory.u8.fill(byte, address, address + FILLED);
  },
} satisfies Record<string, (heap: Heap, account: { writes: number }, meeting: Rendezvous) => unknown>;

/** How a casualty ends. */
export type End = keyof typeof ends;

/** Owns blocks, fills its cache, takes the mutex, says so, and ends. */
export function fall(heap: Heap, { end, mutex: handle, meeting: buffer, holds }: CasualtyJob): unknown {
  const meeting = new Rendezvous(2, buffer);
  const blocks = (count: number): Address[] => Array.from({ length: count }, (_, i) => heap.alloc(8 + i * 8));
  const owned = blocks(20);
  for (const address of blocks(50)) heap.free(address);
  const mutex = Mutex.open(heap, handle, Account);
  const guard = mutex.lock();
  const account = guard.value;
  account.writes++;
  meeting.announce(STEP, 1);
  meeting.pause(holds);
  if (end === 'well' || end.endsWith('Unlocked')) guard.unlock();
  const result = ends[end](heap, account, meeting);
  if (end === 'well') for (const address of owned) heap.free(address);
  return result;
}
