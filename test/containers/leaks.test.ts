/** Leak warnings: an owner that is collected without a drop or a move is told of, once. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Arc } from '../../src/containers/arc.ts';
import { Box } from '../../src/containers/box.ts';
import { warnOfLeaks } from '../../src/containers/leaks.ts';
import { Rc } from '../../src/containers/rc.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { f64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64 });
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: MiB });
});
afterEach(() => {
  warnOfLeaks(false);
  heap.detach();
});

async function collect(): Promise<void> {
  for (let round = 0; round < 5; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function leakAll(): string[] {
  const box = Box.create(heap, Point);
  const arc = Arc.create(heap, Point);
  const rc = Rc.create(heap, Point);
  const link = arc.downgrade();
  Box.create(heap, Point).drop();
  Box.create(heap, Point).move();
  Arc.create(heap, Point).intoAddress();
  const line = (what: string, { address }: { address: number }) =>
    `sabheap: ${what} of Point at 0x${address.toString(16).padStart(8, '0')} was neither dropped nor moved: it leaks`;
  return [line('Arc', arc), line('Box', box), line('Rc', rc), line('Weak', link)];
}

test('each leaked owner is told of once, by type and address; what was dropped or moved is not', async () => {
  const told: string[] = [];
  warnOfLeaks((message) => told.push(message));
  const expected = leakAll();
  await collect();
  expect(told.sort()).toEqual(expected.sort());
  await collect();
  expect(told).toHaveLength(expected.length);
});

test('by default nothing is told; `true` tells the console', async () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
  leakAll();
  await collect();
  expect(warn).not.toHaveBeenCalled();
  warnOfLeaks(true);
  leakAll();
  await collect();
  expect(warn).toHaveBeenCalledTimes(4);
  leakAll();
  warnOfLeaks(false);
  await collect();
  expect(warn).toHaveBeenCalledTimes(4);
  warn.mockRestore();
  expect(() => warnOfLeaks(5 as never)).toThrow(TypeError);
});
