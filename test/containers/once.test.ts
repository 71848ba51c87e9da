/** Once: of all calls one runs, those that failed not counted. */

import { expect, test } from 'vitest';
import { Once } from '../../src/containers/once.ts';
import { AttachError, BusyError, DeadlockError, LockTimeoutError } from '../../src/errors.ts';
import { abortIn, elsewhere, pause, scene, useHeap } from './guarding.ts';

useHeap();

test('the first call runs, later ones do not', async () => {
  const once = Once.create(scene.heap);
  let runs = 0;
  const run = () => runs++;
  expect(once.done).toBe(false);
  expect(once.run(run)).toBe(true);
  expect(once.done).toBe(true);
  expect(once.run(run)).toBe(false);
  expect(await once.runAsync(run)).toBe(false);
  expect(Once.at(scene.heap, once.address).run(run)).toBe(false);
  expect(runs).toBe(1);
  once.destroy();
});

test('one that throws is retried by the next', async () => {
  const once = Once.create(scene.heap);
  const failing = () => {
    throw new Error('no');
  };
  expect(() => once.run(failing)).toThrow('no');
  await expect(once.runAsync(async () => failing())).rejects.toThrow('no');
  expect(once.done).toBe(false);
  expect(() => once.run(async () => 0)).toThrow('use runAsync(fn)');
  expect(once.done).toBe(false);
  expect(await once.runAsync(() => pause(1))).toBe(true);
  once.destroy();
});

test('async calls of one thread wait for the one that runs', async () => {
  const once = Once.create(scene.heap);
  let runs = 0;
  const results = await Promise.all(
    Array.from({ length: 4 }, () =>
      once.runAsync(async () => {
        await pause(3);
        runs++;
      }),
    ),
  );
  expect(results.filter(Boolean)).toHaveLength(1);
  expect(runs).toBe(1);
  once.destroy();
});

test('a function that asks for its own once is told so', () => {
  const once = Once.create(scene.heap);
  expect(() => once.run(() => once.run(() => 0))).toThrow(DeadlockError);
  expect(once.run(() => 0)).toBe(true);
  once.destroy();
});

test('a timeout names the runner; an abort runs nothing; destroy waits its turn', async () => {
  const { heap } = scene;
  const once = Once.create(heap);
  const theirs = Once.at(elsewhere(), once.address);
  let finish = (): void => {};
  const work = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const running = theirs.runAsync(() => work);
  expect(() => once.run(() => 0, { timeout: 20 })).toThrow(/held by .*slot 9/);
  await expect(once.runAsync(() => 0, { timeout: 10 })).rejects.toThrow(LockTimeoutError);
  const reason = new Error('enough');
  await expect(once.runAsync(() => 0, { signal: abortIn(3, reason) })).rejects.toBe(reason);
  expect(() => once.destroy()).toThrow(BusyError);
  finish();
  expect(await running).toBe(true);
  expect(Once.open(heap, once.handle).done).toBe(true);
  expect(JSON.stringify(once)).toContain('"done":true');
  const { address } = once;
  once.destroy();
  expect(() => Once.at(heap, address)).toThrow(AttachError);
  expect(() => once.run(() => 0)).toThrow(ReferenceError);
});

test('what ran to its end is done, also where the object was closed meanwhile', async () => {
  const once = Once.create(scene.heap);
  const other = Once.open(scene.heap, once.handle);
  const run = async () => {
    once.close();
    await pause(1);
  };
  expect(await once.runAsync(run)).toBe(true);
  expect(other.done).toBe(true);
  const late = Once.open(scene.heap, other.handle);
  other.destroy();
  expect(() => late.done).toThrow('was destroyed');
});
