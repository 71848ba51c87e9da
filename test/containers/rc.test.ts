/** Rc: many owners in one thread. */

import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Box, box } from '../../src/containers/box.ts';
import { Rc, type RcWeak } from '../../src/containers/rc.ts';
import { AttachError, OutOfMemoryError, UseAfterMoveError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Node = struct('Node', {
  value: u32,
  get own() {
    return box(Node);
  },
});
const Other = struct('Other', { value: u32 });

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB });
});
afterEach(() => {
  heap.verify();
  heap.detach();
});
const live = (): number => heap.stats().liveBlocks;

test('the last Rc drops the struct, the last RcWeak its block', () => {
  const one = Rc.create(heap, Node, { value: 7, own: { value: 8 } });
  const two = one.clone();
  const link = two.downgrade();
  expect([one.strongCount, one.weakCount, live(), Rc.isSame(one, two)]).toEqual([2, 1, 2, true]);
  one.drop();
  one.drop();
  expect([two.value.own!.value, link.strongCount]).toEqual([8, 1]);
  const three = link.upgrade()!;
  two.drop();
  three.drop();
  expect([link.upgrade(), link.strongCount, link.weakCount, live()]).toEqual([undefined, 0, 1, 1]);
  link.clone().drop();
  link.drop();
  expect(live()).toBe(0);
  expect(() => one.value).toThrow('this Rc of Node was dropped');
  expect(() => one.clone()).toThrow(ReferenceError);
  expect(() => link.upgrade()).toThrow(ReferenceError);
});

test('is given up and adopted by its address, and stays with its thread', () => {
  const one = Rc.create(heap, Node, { value: 7 });
  const two = one.clone();
  const address = two.intoAddress();
  expect(() => two.value).toThrow(UseAfterMoveError);
  expect(one.strongCount).toBe(2);
  expect(() => Rc.fromAddress(heap, address, Other as never)).toThrow(AttachError);
  const back = Rc.fromAddress(heap, address);
  expect(back.value.value).toBe(7);
  const link = back.downgrade();
  expect(() => link.intoAddress()).toThrow(TypeError);
  expect(() => back.handle).toThrow('bound to its thread: use an Arc');
  expect(() => structuredClone(back)).toThrow('could not be cloned');
  const owner = Box.create(heap, Node);
  expect(() => owner.value.set({ own: back as never })).toThrow(TypeError);
  for (const each of [one, back, link, owner]) each.drop();
  expect(live()).toBe(0);
});

test('shows itself to people and tools', () => {
  const one = Rc.create(heap, Node, { value: 1 });
  expect([JSON.stringify(one), inspect(one)]).toEqual([
    '{"value":1,"own":null}',
    'Rc(Node { value: 1, own: null })',
  ]);
  one.drop();
});

test('lives in an arena too', () => {
  const arena = heap.arena(KiB);
  const one = Rc.create(arena, Node, { own: { own: {} } });
  one.clone().drop();
  expect(live()).toBe(3);
  one.drop();
  expect(live()).toBe(1);
  arena.release();
});

test('what cannot be made leaves nothing', () => {
  expect(() => Rc.create(heap, Node, { own: {}, colour: 1 } as never)).toThrow(TypeError);
  expect(live()).toBe(0);
  const one = Rc.create(heap, Node);
  heap.memory.u32[(one.address + 8) >>> 2] = 2 ** 32 - 1;
  expect(() => one.clone()).toThrow('4294967295 references');
  heap.memory.u32[(one.address + 8) >>> 2] = 1;
  const fill: Address[] = [];
  for (let block = heap.alloc(16); block !== NULL; block = heap.alloc(16)) fill.push(block);
  expect(() => Rc.create(heap, Node)).toThrow(OutOfMemoryError);
  one.clone().drop();
  one.drop();
  for (const block of fill) heap.free(block);
  expect(live()).toBe(0);
});

test('random clones, downgrades, upgrades and drops count as their JavaScript twins do', () => {
  const acts = fc.array(
    fc.tuple(fc.constantFrom('clone', 'downgrade', 'upgrade', 'drop', 'dropWeak'), fc.nat()),
  );
  fc.assert(
    fc.property(acts, (steps) => {
      const rcs = [Rc.create(heap, Node, { own: {} })];
      const weaks: RcWeak<typeof Node>[] = [];
      for (const [act, pick] of steps) {
        const one = rcs[pick % rcs.length];
        const link = weaks[pick % weaks.length];
        if (act === 'clone' && one) rcs.push(one.clone());
        if (act === 'downgrade' && one) weaks.push(one.downgrade());
        if (act === 'drop' && one) rcs.splice(pick % rcs.length, 1)[0]!.drop();
        if (act === 'dropWeak' && link) weaks.splice(pick % weaks.length, 1)[0]!.drop();
        if (act === 'upgrade' && link) {
          const upgraded = link.upgrade();
          expect(upgraded === undefined).toBe(rcs.length === 0);
          if (upgraded) rcs.push(upgraded);
        }
        const any = rcs[0] ?? weaks[0];
        if (any) expect([any.strongCount, any.weakCount]).toEqual([rcs.length, weaks.length]);
        expect(live()).toBe((any ? 1 : 0) + (rcs.length > 0 ? 1 : 0));
      }
      for (const each of [...rcs, ...weaks]) each.drop();
      expect(live()).toBe(0);
    }),
    { numRuns: 200 },
  );
});
