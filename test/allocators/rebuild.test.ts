/**
 * Deaths inside an algorithm: a thread is killed at each single store of each operation, over random
 * states. Then `rebuild()` (itself killed at one of its stores, and done again) must leave an allocator
 * that verifies itself, holds the contents of all others and, once all is freed, is as large as before.
 */

import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import { HeapCorruptionError } from '../../src/errors.ts';
import { type Address, KiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { randomFrom, SEED } from '../random.ts';
import { CrashScene, emptied, type Operation, START } from './crash-scene.ts';
import { runKilled } from './killable.ts';
import { type Subject, subjects } from './subjects.ts';

const SEEDS = Number(process.env.SEEDS ?? 6);

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
    let second = 0;
    try {
      const { stores } = rebuild(Number.POSITIVE_INFINITY);
      // The same again, with a death in the middle of the rebuild.
      memory.u8.set(left);
      second = Math.floor(random() * stores);
      rebuild(second);
      const allocator = attach(memory);
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
    console.log(`${subject.name}: SEED=${SEED}`);
    let deaths = 0;
    for (let seed = SEED; seed < SEED + SEEDS; seed++) {
      const scene = new CrashScene(subject, seed);
      for (const operation of scene.operations()) deaths += dieEverywhere(subject, scene, operation, seed);
    }
    console.log(`${subject.name}: ${deaths} deaths`);
    expect(deaths).toBeGreaterThan(SEEDS * 10);
  });

  test('a rebuild that dies at each of its stores is done again', () => {
    const scene = new CrashScene(subject, SEED);
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

describe('what cannot be repaired', () => {
  const whole = bare.filter(({ name }) => !name.startsWith('hybrid'));

  test.each(whole)('$name: headers that do not tile are named, and nothing is written there', (subject) => {
    const memory = Memory.create(64 * KiB);
    const allocator = subject.create(memory, START, 32 * KiB) as Algorithm;
    const blocks = Array.from({ length: 5 }, () => allocator.alloc(40));
    const { shift, base } = allocator.ownershipCodec();
    const victim = blocks[2]!;
    if (shift === 0 && base === -1) memory.i32[victim / 4 - 2] = 0x7ffffff0;
    else mapByte(memory, subject, blocks);
    const above = memory.u8.slice(victim, START + 32 * KiB);
    expect(() => allocator.rebuild()).toThrow(HeapCorruptionError);
    expect(() => allocator.rebuild()).toThrow(/0x0000[0-9a-f]{4}/);
    expect(memory.u8.slice(victim, START + 32 * KiB)).toEqual(above);
  });

  /** Breaks the byte of the third block in a map of bytes: the one that differs when it is freed. */
  function mapByte(memory: Memory, subject: Subject, blocks: readonly Address[]): void {
    const copy = Memory.create(memory.byteLength);
    copy.u8.set(memory.u8);
    (subject.attach(copy, START) as Algorithm).freeBlock(blocks[2]!);
    const at = memory.u8.findIndex(
      (byte, i) => i > START + 64 && byte !== 0 && byte < 32 && byte !== copy.u8[i],
    );
    memory.u8[at] = 0x3f;
  }
});
