/**
 * Deaths inside an algorithm: a thread is killed at each single store of each operation, over random
 * states. Then `rebuild()` (itself killed at one of its stores, and done again) must leave an allocator
 * that verifies itself, holds the contents of all others and, once all is freed, is as large as before.
 */

import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import { Memory } from '../../src/memory/memory.ts';
import { CrashScene, emptied, type Operation, randomFrom, START } from './crash-scene.ts';
import { runKilled } from './killable.ts';
import { type Subject, subjects } from './subjects.ts';

const SEEDS = Number(process.env.SABHEAP_SEEDS ?? 12);

/** Dies in `operation` at every store, and recovers. Returns how often it died. */
function dieEverywhere(subject: Subject, scene: CrashScene, operation: Operation, seed: number): number {
  const before = scene.copyBytes();
  const random = randomFrom(seed);
  const memory = Memory.create(before.length);
  const attach = (to: Memory): Algorithm => subject.attach(to, START) as Algorithm;
  const run = (limit: number): boolean => {
    memory.u8.set(before);
    return runKilled(memory.buffer, limit, (mine) => operation.run(attach(mine))).died;
  };
  const rebuild = (limit: number) => runKilled(memory.buffer, limit, (mine) => attach(mine).rebuild());
  const outcomes = new Set<string>();
  for (const limit of [0, Number.POSITIVE_INFINITY]) {
    run(limit);
    const allocator = attach(memory);
    scene.check(allocator, operation);
    outcomes.add(emptied(allocator));
  }
  for (let limit = 0; ; limit++) {
    const died = run(limit);
    const left = memory.u8.slice();
    const { stores } = rebuild(Number.POSITIVE_INFINITY);
    // The same again, with a death in the middle of the rebuild.
    memory.u8.set(left);
    const second = Math.floor(random() * stores);
    rebuild(second);
    const allocator = attach(memory);
    try {
      allocator.rebuild();
      scene.check(allocator, operation);
      const outcome = emptied(allocator);
      if (!operation.mayBeHalfDone) expect([...outcomes]).toContain(outcome);
    } catch (error) {
      const where = `seed ${seed}: ${operation.name}, killed at store ${limit}, its rebuild at store ${second}`;
      throw new Error(where, { cause: error });
    }
    if (!died) return limit;
  }
}

const bare = subjects.filter(({ wrapper }) => wrapper === 'none');

describe.each(bare)('$name', (subject) => {
  test('survives a death at every store of every operation', () => {
    const first = Number(process.env.SABHEAP_SEED ?? Math.floor(Math.random() * 1e6));
    console.log(`${subject.name}: seeds from ${first}`);
    let deaths = 0;
    for (let seed = first; seed < first + SEEDS; seed++) {
      const scene = new CrashScene(subject, seed);
      for (const operation of scene.operations()) deaths += dieEverywhere(subject, scene, operation, seed);
    }
    console.log(`${subject.name}: ${deaths} deaths`);
    expect(deaths).toBeGreaterThan(SEEDS * 10);
  });

  test('a rebuild that dies at each of its stores is done again', () => {
    const seed = Number(process.env.SABHEAP_SEED ?? Math.floor(Math.random() * 1e6));
    const scene = new CrashScene(subject, seed);
    const before = scene.copyBytes();
    const nothing: Operation = { name: 'nothing', touches: new Map(), run: () => {} };
    const memory = Memory.create(before.length);
    for (let limit = 0; ; limit++) {
      memory.u8.set(before);
      const { died } = runKilled(memory.buffer, limit, (mine) =>
        (subject.attach(mine, START) as Algorithm).rebuild(),
      );
      const allocator = subject.attach(memory, START) as Algorithm;
      allocator.rebuild();
      scene.check(allocator, nothing);
      if (!died) break;
    }
  });
});
