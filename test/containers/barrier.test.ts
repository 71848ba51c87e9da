/** Barrier: all or nobody, generation after generation. */

import { expect, test } from 'vitest';
import { Barrier } from '../../src/containers/barrier.ts';
import { AttachError, BrokenBarrierError, BusyError, LockTimeoutError } from '../../src/errors.ts';
import { abortIn, pause, scene, useHeap } from './guarding.ts';
import { sleepUntilNotified } from './sleeps.ts';

useHeap();

test('parties wait until all have come; the last one wakes them, and leads', async () => {
  sleepUntilNotified();
  const barrier = Barrier.create(scene.heap, 3);
  expect(barrier.parties).toBe(3);
  for (let generation = 0; generation < 3; generation++) {
    const first = barrier.waitAsync();
    const second = barrier.waitAsync();
    expect(barrier.waiting).toBe(2);
    expect(barrier.wait()).toEqual({ leader: true });
    expect(await Promise.all([first, second])).toEqual([{ leader: false }, { leader: false }]);
    expect(barrier.waiting).toBe(0);
  }
  barrier.destroy();
});

test('a barrier of one lets everybody through', async () => {
  const barrier = Barrier.create(scene.heap, 1);
  expect(barrier.wait().leader).toBe(true);
  expect((await barrier.waitAsync()).leader).toBe(true);
  barrier.destroy();
});

test('whose time is up breaks it for all, until it is reset', async () => {
  const barrier = Barrier.create(scene.heap, 3);
  const patient = barrier.waitAsync();
  const broken = expect(patient).rejects.toThrow(BrokenBarrierError);
  expect(() => barrier.wait({ timeout: 20 })).toThrow(LockTimeoutError);
  await broken;
  expect(barrier.broken).toBe(true);
  expect(() => barrier.wait()).toThrow('reset() mends it');
  await expect(barrier.waitAsync()).rejects.toThrow(BrokenBarrierError);
  barrier.reset();
  expect([barrier.broken, barrier.waiting]).toEqual([false, 0]);
  const two = [barrier.waitAsync(), barrier.waitAsync()];
  expect(barrier.wait().leader).toBe(true);
  await Promise.all(two);
  barrier.destroy();
});

test('abort and reset end the waits', async () => {
  const barrier = Barrier.create(scene.heap, 2);
  const aborted = expect(barrier.waitAsync()).rejects.toThrow('a party gave up');
  barrier.abort();
  await aborted;
  barrier.reset();
  const reset = expect(barrier.waitAsync()).rejects.toThrow('it was reset');
  barrier.reset();
  const next = barrier.waitAsync();
  await reset;
  expect(barrier.wait().leader).toBe(true);
  expect(await next).toEqual({ leader: false });
  barrier.destroy();
});

test('an aborted signal breaks it; one that was aborted before does not come', async () => {
  const barrier = Barrier.create(scene.heap, 2);
  const reason = new Error('enough');
  await expect(barrier.waitAsync({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect([barrier.broken, barrier.waiting]).toEqual([false, 0]);
  await expect(barrier.waitAsync({ signal: abortIn(5, reason) })).rejects.toBe(reason);
  expect(barrier.broken).toBe(true);
  barrier.destroy();
});

test('a party that came in time is not called late', async () => {
  const barrier = Barrier.create(scene.heap, 2);
  const controller = new AbortController();
  const waiting = barrier.waitAsync({ signal: controller.signal });
  await pause(2);
  // All have come, then the signal: the waiter has been let go already.
  barrier.wait();
  controller.abort();
  expect(await waiting).toEqual({ leader: false });
  expect(barrier.broken).toBe(false);
  barrier.destroy();
});

test('generations come round', async () => {
  const barrier = Barrier.create(scene.heap, 2);
  const state = (barrier.address + 8) >>> 2;
  scene.heap.memory.i32[state] = 0x7ffff000;
  const waiting = barrier.waitAsync();
  expect(barrier.wait().leader).toBe(true);
  expect(await waiting).toEqual({ leader: false });
  expect(scene.heap.memory.i32[state]).toBe(0);
  barrier.destroy();
});

test.each([0, -1, 1.5, 4096, Number.NaN])('%s parties are refused', (parties) => {
  expect(() => Barrier.create(scene.heap, parties)).toThrow(RangeError);
});

test('destroy is refused while parties wait; handles open it', async () => {
  const { heap } = scene;
  const barrier = Barrier.create(heap, 2);
  const second = Barrier.open(heap, barrier.handle);
  const waiting = barrier.waitAsync();
  expect(() => second.destroy()).toThrow(BusyError);
  second.wait();
  await waiting;
  expect(JSON.stringify(second)).toContain('"parties":2,"waiting":0,"broken":false');
  expect(() => Barrier.at(heap, heap.alloc(64))).toThrow(AttachError);
  for (const { address, state } of heap.blocks()) if (state === 'live') heap.free(address);
  second.destroy();
  expect(() => barrier.wait()).toThrow('was destroyed');
});

test('an object that is closed while its thread waits: the wait goes on, and ends as any', async () => {
  const { heap } = scene;
  const barrier = Barrier.create(heap, 2);
  const second = Barrier.open(heap, barrier.handle);
  const patient = second.waitAsync();
  second.close();
  // Longer than it takes until it looks for members that died.
  await pause(60);
  expect(barrier.wait()).toEqual({ leader: true });
  expect(await patient).toEqual({ leader: false });
  const third = Barrier.open(heap, barrier.handle);
  const hasty = third.waitAsync({ timeout: 60 });
  third.close();
  await expect(hasty).rejects.toThrow(LockTimeoutError);
  expect(barrier.broken).toBe(true);
  barrier.destroy();
});

test('destroyed while broken: who still waits is told so, and writes nothing where it was', async () => {
  const { heap } = scene;
  const barrier = Barrier.create(heap, 2);
  const { address } = barrier;
  const waiting = Barrier.open(heap, barrier.handle).waitAsync({ timeout: 60 });
  barrier.abort();
  barrier.destroy();
  // What comes to lie there is somebody else's.
  const bytes = heap.memory.bytes(heap.alloc(1024 + 24), 1024 + 24);
  expect(bytes.byteOffset).toBe(address);
  bytes.fill(0);
  await expect(waiting).rejects.toThrow('was destroyed');
  expect(bytes.findIndex((byte) => byte !== 0)).toBe(-1);
  heap.free(address);
});

test('the leader may destroy it while the others wake up', async () => {
  const barrier = Barrier.create(scene.heap, 2);
  const other = Barrier.open(scene.heap, barrier.handle);
  const waiting = barrier.waitAsync();
  if (other.wait().leader) other.destroy();
  expect(await waiting).toEqual({ leader: false });
});
