/**
 * What a beginner gives in plain JavaScript, where no compiler objects: each is refused by an error that names
 * the value and what was wanted, and nothing is lost: no block allocated or freed, and the heap verifies.
 */

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  Box,
  BumpAllocator,
  Channel,
  f64,
  Heap,
  KiB,
  Locked,
  Memory,
  MiB,
  Mutex,
  Semaphore,
  SharedMap,
  SharedVec,
  string,
  struct,
  u8,
  u32,
  u64,
  union,
} from '../../src/index.ts';

const Named = struct('BeginnersNamed', { name: string, count: u32, big: u64, x: f64 });
const Plain = struct('BeginnersPlain', { y: f64 });
const LONG = 'a text that does not fit in the struct itself';

/** What JavaScript lets anybody write. */
// biome-ignore lint/suspicious/noExplicitAny: that is the point
const loose = (value: unknown): any => value;

let heap: Heap;
let other: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 1 * MiB });
  other = Heap.create({ byteLength: 1 * MiB });
});
afterEach(() => {
  heap.verify();
  other.verify();
  heap.detach();
  other.detach();
});

/** Refused, with nothing allocated or freed by it. */
function refused(act: () => unknown, Class: new (...args: never[]) => Error, message: string): void {
  const before = [heap.stats().liveBlocks, other.stats().liveBlocks];
  expect(act).toThrow(Class);
  expect(act).toThrow(message);
  expect([heap.stats().liveBlocks, other.stats().liveBlocks]).toEqual(before);
}

describe('delete', () => {
  it.each([
    ['a map', () => SharedMap.create(heap, u32, u32), 'an object of SharedMap'],
    ['a vec', () => SharedVec.create(heap, u32), 'an object of SharedVec'],
    ['a Box', () => Box.create(heap, Plain), 'an object of Box'],
    ['an array', () => Named.array(heap, 2), 'an object of RowArray'],
    ['an address', () => heap.alloc(8), 'got '],
    ['the heap', () => heap, 'an object of Heap'],
  ])('of %s', (_name, make, got) => {
    const given = make();
    refused(() => heap.delete(loose(given)), TypeError, got);
  });

  it('of a view of another heap, whose address is a block here too', () => {
    const mine = heap.new(Named, { name: LONG });
    const theirs = other.new(Named, { name: LONG });
    expect(theirs.address).toBe(mine.address);
    refused(() => heap.delete(theirs), Error, 'it is of a BeginnersNamed in another heap');
    expect([mine.name, theirs.name]).toEqual([LONG, LONG]);
  });
});

describe('new', () => {
  it.each([
    ['SharedMap', () => new (loose(SharedMap))(heap, string, u32)],
    ['SharedMap', () => new (loose(SharedMap))()],
    ['SharedVec', () => new (loose(SharedVec))(heap, f64)],
    ['Channel', () => new (loose(Channel))(heap, u32)],
    ['Box', () => new (loose(Box))(heap, Plain)],
    ['Mutex', () => new (loose(Mutex))(heap, Plain)],
    ['Semaphore', () => new (loose(Semaphore))(heap, 1)],
  ])('%s', (name, make) => {
    refused(make, TypeError, `what lies in a heap is made by ${name}.create(…), or opened by open(…)`);
  });
});

describe('the options of an array', () => {
  it.each([
    ['a name that no option has', { layuot: 'columns' }, 'an array has no option "layuot"'],
    ['a layout that there is not', { layout: 'column' }, "layout must be 'rows' or 'columns'"],
    ['no object', 'columns', "the options of an array are an object, { layout: 'columns' }; got"],
    ['null', null, 'got null'],
  ])('%s', (_name, options, message) => {
    refused(() => Plain.array(heap, 4, loose(options)), TypeError, message);
  });
});

describe('what lies in another heap', () => {
  it('gets no root', () => {
    for (const given of [other.new(Plain), SharedMap.create(other, u32, u32), Plain.array(other, 2)]) {
      refused(() => heap.roots.set('name', given), TypeError, 'lies in another one');
    }
    expect(heap.roots.names()).toEqual([]);
  });

  it('is not opened by the handle of an array', () => {
    heap.new(Plain);
    const { handle } = Plain.array(other, 2);
    refused(() => Plain.arrayAt(heap, handle), Error, `in heap ${other.id}, not in heap ${heap.id}`);
  });
});

describe('a heap', () => {
  it('cannot be posted, before and after a struct was used', () => {
    refused(() => structuredClone({ heap }), Error, 'post heap.handle instead');
    heap.new(Plain);
    refused(() => structuredClone({ heap }), Error, 'post heap.handle instead');
  });

  it('is one line in console.log, attached or not', () => {
    expect(inspect(heap)).toBe(`Heap { id: ${heap.id}, 1.00 MiB, thread slot 1; describe() draws it }`);
    heap.detach();
    expect(inspect(heap)).toContain('detached');
    heap = Heap.create({ byteLength: 64 * KiB });
  });

  it('is not attached by a handle that went through JSON', () => {
    const handle = JSON.parse(JSON.stringify(heap.handle));
    refused(() => Heap.attach(handle), TypeError, 'workerData or postMessage, not as JSON');
    refused(() => Heap.attach(loose({})), TypeError, 'buffer must be a SharedArrayBuffer, got an object');
    refused(() => Heap.attach(loose(undefined)), TypeError, 'got undefined');
  });

  it('is not attached by the workerData that its handle came in', () => {
    refused(() => Heap.attach(loose({ heap: heap.handle })), TypeError, 'Heap.attach(workerData.heap)');
  });

  it.each([
    [null, 'takes its options as an object'],
    [64, 'takes its options as an object, { byteLength: 64 * MiB }; got 64'],
    [{ byteLength: undefined, cache: 'no' }, 'cache must be true or false, got "no"'],
    [{ allocator: null }, 'allocator must be one of tlsf, bump, linked-list, buddy; got null'],
    [{ lockTimeout: '500' }, 'lockTimeout must be above 0 ms, got "500"'],
    [{ byteLength: Number.NaN }, 'byteLength must be an integer from 8 to 4294967296, got NaN'],
  ])('is not made with %j', (options, message) => {
    refused(() => Heap.create(loose(options)), Error, message);
  });

  it('is not made by its constructor', () => {
    refused(() => new (loose(Heap))(), TypeError, 'a heap is made by Heap.create() or Heap.attach(handle)');
  });
});

describe('in the place of', () => {
  it('a struct type', () => {
    for (const given of [undefined, 'Plain', f64]) {
      refused(() => heap.new(loose(given)), TypeError, 'a struct type is wanted, got');
      refused(() => Box.create(heap, loose(given)), TypeError, 'a struct type is wanted, got');
    }
    refused(() => heap.at(loose(8), loose(Plain)), TypeError, 'a struct type is wanted, got 8');
    refused(() => union(loose(f64)), TypeError, 'got the field f64');
    refused(() => heap.roots.open('name', loose(undefined)), TypeError, 'got undefined');
  });

  it('a heap', () => {
    refused(
      () => Plain.array(loose(undefined), 2),
      TypeError,
      'a heap is wanted, to begin with; got undefined',
    );
    refused(() => SharedMap.create(loose(u32), loose(u32), u32), TypeError, 'got the field u32');
    refused(() => SharedMap.open(loose({ kind: 'SharedMap' }), loose(heap)), TypeError, 'a heap is wanted');
    refused(() => BumpAllocator.create(loose(heap), {}), TypeError, 'got an object of Heap');
  });

  it('options', () => {
    refused(() => loose(Channel).create(heap, u32), RangeError, 'capacity must be an integer from 1');
    refused(() => heap.alloc(loose(undefined)), RangeError, 'got undefined');
    const memory = Memory.create(64 * KiB);
    refused(() => Locked.create(memory, loose({ allocator: 'tlsf' })), TypeError, 'must be a class, such as');
  });

  it('a function', () => {
    refused(() => loose(heap.roots).openOrCreate('name', Plain), TypeError, 'make must be a function');
  });
});

describe('the wrong type', () => {
  it.each([
    [{ count: '5' }, 'BeginnersNamed.count takes a number, got "5"'],
    [{ count: 5n }, 'BeginnersNamed.count takes a number, got 5n'],
    [{ x: null }, 'BeginnersNamed.x takes a number, got null'],
    [{ big: 5 }, 'BeginnersNamed.big takes a bigint, got 5'],
    [{ big: '5' }, 'BeginnersNamed.big takes a bigint, got "5"'],
    [{ name: 5 }, 'BeginnersNamed.name takes a string, got 5'],
    [{ nmae: LONG }, 'BeginnersNamed has no field named "nmae"'],
  ])('in init: %o', (init, message) => {
    const view = heap.new(Named, { name: LONG });
    refused(() => heap.new(Named, loose({ name: LONG, ...init })), TypeError, message);
    refused(() => view.set(loose(init)), TypeError, message);
  });

  it('as an element', () => {
    const vec = SharedVec.create(heap, u8, [1]);
    refused(() => vec.push(loose('2')), TypeError, 'takes a number, got "2"');
    expect(vec.toArray()).toEqual([1]);
  });
});
