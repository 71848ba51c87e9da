/**
 * Late giver: run as a program of its own. Its main thread waits for one thing after the other with
 * nothing else to do, while a worker lets it wait. Ends with code 0 only if it lived to get all of them.
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Barrier, Condition, Heap, Mutex, Once, RwLock, Semaphore, u32 } from '../../src/index.ts';

const WAIT_MS = 120;

interface Things {
  readonly heap: Heap['handle'];
  readonly mutex: Mutex<typeof u32>['handle'];
  readonly rwLock: RwLock<typeof u32>['handle'];
  readonly semaphore: Semaphore['handle'];
  readonly once: Once['handle'];
  readonly barrier: Barrier['handle'];
  readonly condition: Condition['handle'];
}

async function wait(): Promise<void> {
  const heap = Heap.create({ byteLength: 1 << 20 });
  const mutex = Mutex.create(heap, u32);
  const rwLock = RwLock.create(heap, u32);
  const semaphore = Semaphore.create(heap, 1);
  const once = Once.create(heap);
  const barrier = Barrier.create(heap, 2);
  const condition = Condition.create(heap);
  const worker = new Worker(new URL(import.meta.url), {
    workerData: {
      heap: heap.handle,
      mutex: mutex.handle,
      rwLock: rwLock.handle,
      semaphore: semaphore.handle,
      once: once.handle,
      barrier: barrier.handle,
      condition: condition.handle,
    } satisfies Things,
  });
  await new Promise((resolve) => worker.once('message', resolve));
  worker.unref();
  const guard = await mutex.lockAsync();
  (await rwLock.lockReadAsync()).unlock();
  await semaphore.acquireAsync();
  await once.runAsync(() => {});
  await barrier.waitAsync();
  await condition.waitForAsync(guard, (value) => value === 1);
  process.exitCode = 0;
}

function give(things: Things): void {
  const heap = Heap.attach(things.heap);
  const nap = (): unknown => sleep(heap);
  const mutex = Mutex.open(heap, things.mutex);
  const rwLock = RwLock.open(heap, things.rwLock);
  const semaphore = Semaphore.open(heap, things.semaphore);
  const guard = mutex.lock();
  const writing = rwLock.lockWrite();
  semaphore.acquire();
  Once.open(heap, things.once).run(() => {
    parentPort!.postMessage('ready');
    nap();
    guard.unlock();
    nap();
    writing.unlock();
    nap();
    semaphore.release();
    nap();
  });
  nap();
  Barrier.open(heap, things.barrier).wait();
  nap();
  mutex.with((cell) => {
    cell.value = 1;
  });
  Condition.open(heap, things.condition).notifyAll();
}

/** Sleeps: nobody ever comes to this barrier. */
function sleep(heap: Heap): void {
  const barrier = Barrier.create(heap, 2);
  try {
    barrier.wait({ timeout: WAIT_MS });
  } catch {
    barrier.destroy();
  }
}

if (isMainThread) {
  process.exitCode = 7;
  await wait();
} else {
  give(workerData as Things);
}
