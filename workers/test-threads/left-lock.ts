/**
 * A program of its own: its worker leaves by `process.exit` with a mutex in its hands. Prints as JSON what the
 * parent sees of that: whether the lock came to it recovered, or the error; how the heap's watching went.
 */

import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Heap, type HeapHandle, Mutex, type MutexHandle, struct, u32 } from '../../src/index.ts';

const Account = struct('Account', { writes: u32 });

interface Told {
  readonly heap: HeapHandle;
  readonly mutex: MutexHandle<typeof Account>;
}

if (isMainThread) console.log(JSON.stringify(await watchOne()));
else leave(workerData as Told);

function leave({ heap, mutex }: Told): void {
  Mutex.open(Heap.attach(heap), mutex, Account).lock();
  process.exit(1);
}

async function watchOne(): Promise<object> {
  const heap = Heap.create({ lockTimeout: 5000 });
  const mutex = Mutex.create(heap, Account);
  const told: Told = { heap: heap.handle, mutex: mutex.handle };
  const worker = new Worker(new URL(import.meta.url), { workerData: told });
  const watched = new Promise<string>((resolve) => {
    heap.watch(worker, {
      onReaped: ({ slot }) => resolve(`reaped slot ${slot}`),
      onFailed: (error) => resolve(String(error)),
    });
  });
  await once(worker, 'exit');
  // What waits for the proof keeps no process alive.
  const patience = setTimeout(() => {}, 60_000);
  const outcome = { watched: await watched, lock: lockOnce(mutex), threads: heap.threads().length };
  clearTimeout(patience);
  return outcome;
}

function lockOnce(mutex: Mutex<typeof Account>): string {
  try {
    return mutex.with((_account, { recovered }) => (recovered ? 'recovered' : 'as it was'));
  } catch (error) {
    return String(error);
  }
}
