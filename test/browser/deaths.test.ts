/**
 * Web workers that end without a word to the heap: each holds a Web Lock, which is had by others when the
 * thread has written for the last time, and no earlier.
 */

import { afterEach, beforeEach, expect, test } from 'vitest';
import { Heap, LockTimeoutError, MiB, Mutex, type ReapReport, watchable } from '../../src/index.ts';
import { Total } from './parcel.ts';
import { endThreads, pause, Thread } from './thread.ts';

let heap: Heap;
let total: Mutex<typeof Total>;
beforeEach(() => {
  heap = Heap.create({ byteLength: 16 * MiB, lockTimeout: 60_000 });
  total = Mutex.create(heap, Total);
  heap.roots.set('total', total);
});
afterEach(() => {
  endThreads();
  heap.detach();
});

/** Watches a thread until it is reaped. */
const reaped = (thread: Thread): Promise<ReapReport> =>
  new Promise((resolve, reject) =>
    heap.watch(thread.worker, { reclaim: true, onReaped: resolve, onFailed: reject }),
  );

/** The sound heap in which only the page is left. */
function expectSound(): void {
  expect(heap.threads()).toHaveLength(1);
  heap.verify();
  expect([...heap.blocks()].filter(({ state }) => state === 'orphan')).toEqual([]);
  // The mutex and the name of its root.
  expect(heap.stats().liveBlocks).toBe(2);
}

test('a thread that is terminated with a mutex in its hands: another one has it, asleep, and so has the page', async () => {
  const thread = new Thread(heap);
  const heir = new Thread(heap);
  const report = reaped(thread);
  const [slot] = await Promise.all([thread.do<number>('attach'), heir.do('attach')]);
  expect(await thread.do('cling')).toBe('clings');
  expect(await heir.do('want')).toBe('wants');
  const inherited = heir.next();
  thread.worker.terminate();
  expect(await report).toMatchObject({ slot, generation: 1, reclaimed: true });
  expect((await report).owned).toHaveLength(10);
  expect(await inherited, 'was told that the last owner died').toBe(true);
  const state = await total.withAsync((it, { recovered }) => ({ recovered, count: it.count }));
  expect(state.recovered, 'told once').toBe(false);
  expect(state.count).toBeGreaterThanOrEqual(1000);
  await heir.do('detach');
  expectSound();
});

test('the page itself gets on, and is told', async () => {
  const thread = new Thread(heap);
  const report = reaped(thread);
  await thread.do('attach');
  await thread.do('cling');
  thread.worker.terminate();
  expect(await total.withAsync((_, { recovered }) => recovered)).toBe(true);
  await report;
  expectSound();
});

test('a thread that waits for messages, and one that closes itself', async () => {
  for (const [slot, kind] of [
    [2, 'own'],
    [2, 'close'],
  ] as const) {
    const thread = new Thread(heap);
    const report = reaped(thread);
    await thread.do('attach');
    await thread.do(kind);
    if (kind === 'own') thread.worker.terminate();
    expect(await report).toMatchObject({ slot });
    expect((await report).owned).toHaveLength(10);
    expectSound();
  }
});

test('a thread that writes on after terminate() is not taken for dead', async () => {
  const thread = new Thread(heap);
  const report = reaped(thread);
  await thread.do('attach');
  expect(await thread.do('fill', { count: 3500 })).toBe('fills');
  const { u8 } = heap.memory;
  const bytes = (): string => [0, 1, 2, 3].map((i) => u8[u8.length / 2 + i * 999]).join();
  // Until it is at it; a machine with other work to do lets it wait.
  while (bytes().startsWith('0,')) await pause(1);
  const before = bytes();
  thread.worker.terminate();
  await report;
  const atReaping = Uint32Array.from(heap.memory.u32);
  console.log(`terminated while it wrote ${before}, reaped when it had written ${bytes()}`);
  await pause(1000);
  expect(heap.memory.u32.every((word, i) => word === atReaping[i])).toBe(true);
  expectSound();
});

test('nobody needs to watch: recover() asks, and has the answer when the event loop has turned', async () => {
  const thread = new Thread(heap);
  await thread.do('attach');
  await thread.do('own');
  expect(heap.recover()).toEqual([]);
  thread.worker.terminate();
  let reports: ReapReport[] = [];
  for (const until = performance.now() + 60_000; reports.length === 0 && performance.now() < until; ) {
    await pause(20);
    reports = heap.recover({ reclaim: true });
  }
  expect(reports).toMatchObject([{ slot: 2, reclaimed: true }]);
  expectSound();
});

test('a thread that blocks from its first message on cannot be told from a living one, unless it awaits watchable()', async () => {
  const silent = new Thread(heap);
  await silent.do('cling');
  silent.worker.terminate();
  await expect(total.lockAsync({ timeout: 3000 })).rejects.toThrow(LockTimeoutError);
  const { threadId } = heap.threads()[1]!;
  // Whoever knows that it has ended may say so.
  heap.reap(threadId, { reclaim: true });
  const thread = new Thread(heap);
  const report = reaped(thread);
  expect(await thread.do('clingWatchably')).toBe('clings');
  thread.worker.terminate();
  await report;
  await total.withAsync(() => {});
  expectSound();
});

test('the message that asks a worker for its thread is seen by nobody else', async () => {
  const thread = new Thread(heap);
  const report = reaped(thread);
  // The worker answers what it does not understand with an error.
  expect(await thread.do('attach')).toBe(2);
  const stop = heap.watch(thread.worker, { onReaped: () => expect.fail('it was to be stopped') });
  stop();
  stop();
  heap.watch(thread.worker, { onReaped: () => expect.fail('nothing is left to who watched later') });
  await thread.do('own');
  await pause(100);
  thread.worker.terminate();
  await report;
  await pause(100);
  expectSound();
});

test('a detached heap watches nobody any more', async () => {
  const other = Heap.create({ byteLength: MiB });
  const thread = new Thread(other);
  await thread.do('own');
  other.watch(thread.worker, { onReaped: () => expect.fail('reaped by a heap that is detached') });
  await pause(100);
  other.detach();
  thread.worker.terminate();
  await pause(300);
});

test('what is no worker is refused', () => {
  for (const none of [undefined, null, 5, {}, new EventTarget(), { postMessage() {}, terminate() {} }]) {
    expect(() => heap.watch(none as never)).toThrow(TypeError);
    expect(() => heap.watch(none as never)).toThrow('in a browser a Worker');
  }
});

test('a page is watchable too', async () => {
  await watchable();
  interface Locks {
    query(): Promise<{ readonly held: readonly { readonly name: string }[] }>;
  }
  const { locks } = (globalThis as unknown as { navigator: { locks: Locks } }).navigator;
  const { threadId } = heap.threads()[0]!;
  expect((await locks.query()).held.map(({ name }) => name)).toContain(`sabheap.thread.${threadId}`);
});
