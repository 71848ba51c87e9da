/**
 * Fields: reading and writing `{ x: f64, y: f64, id: u32 }`, of 1,000 of them.
 *
 *     shape 0, apart   an object (view, address) for each:      all[i].x += all[i].y
 *     shape 1, walk    one view moved along, raw: an address    p.address = at; p.x += p.y
 *     shape 2, one     the same one a thousand times            p.x += p.y
 *     shape 3, id      an integer field of each                 sum += all[i].id
 *
 * Plain objects have no view to move: their walk is over the array of them.
 */

import { type Address, f64, Heap, MiB, struct, u32 } from '../../src/index.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { nanoseconds } from './timed.ts';

const COUNT = 1000;
const Point = struct('Point', { x: f64, y: f64, id: u32 });

interface PlainPoint {
  x: number;
  y: number;
  id: number;
}

/** Keeps sums alive. */
let seen = 0;

/** ns of one access: a read of y, a read and a write of x; or a read of id. */
export function measureFields(job: Job): Numbers {
  const shape = option(job, 'shape', 0);
  const turns = { plain: plainTurns, raw: rawTurns, struct: structTurns }[job.subject];
  const turn = turns?.()[shape];
  if (turn === undefined) throw new RangeError(`fields does not know ${job.subject}, shape ${shape}`);
  const ns = nanoseconds(job, COUNT, turn);
  if (Number.isNaN(seen)) throw new Error('wrong contents');
  return { ns };
}

type Turns = (() => void)[];

function plainTurns(): Turns {
  const all: PlainPoint[] = Array.from({ length: COUNT }, (_, i) => ({ x: i + 0.5, y: 0.5, id: i }));
  const each = (): void => {
    for (let i = 0; i < COUNT; i++) {
      const point = all[i]!;
      point.x += point.y;
    }
  };
  const first = all[0]!;
  return [
    each,
    each,
    () => {
      for (let i = 0; i < COUNT; i++) first.x += first.y;
    },
    () => {
      let sum = 0;
      for (let i = 0; i < COUNT; i++) sum += all[i]!.id;
      seen += sum;
    },
  ];
}

function makePoints(): { heap: Heap; addresses: Address[] } {
  const heap = Heap.create({ byteLength: 4 * MiB });
  const addresses = Array.from(
    { length: COUNT },
    (_, i) => heap.new(Point, { x: i + 0.5, y: 0.5, id: i }).address,
  );
  return { heap, addresses };
}

function rawTurns(): Turns {
  const { heap, addresses } = makePoints();
  const { f64: doubles, u32: words } = heap.memory;
  const at = Uint32Array.from(addresses);
  const base = Point.array(heap, COUNT).address as number;
  const { size } = Point;
  const one = addresses[0]!;
  return [
    () => {
      for (let i = 0; i < COUNT; i++) {
        const address = at[i]!;
        doubles[address >>> 3]! += doubles[(address + 8) >>> 3]!;
      }
    },
    () => {
      for (let i = 0, address = base; i < COUNT; i++, address += size) {
        doubles[address >>> 3]! += doubles[(address + 8) >>> 3]!;
      }
    },
    () => {
      for (let i = 0; i < COUNT; i++) doubles[one >>> 3]! += doubles[(one + 8) >>> 3]!;
    },
    () => {
      let sum = 0;
      for (let i = 0; i < COUNT; i++) sum += words[(at[i]! + 16) >>> 2]!;
      seen += sum;
    },
  ];
}

function structTurns(): Turns {
  const { heap, addresses } = makePoints();
  const all = addresses.map((address) => heap.at(Point, address as Address));
  const base = Point.array(heap, COUNT).address as number;
  const { size } = Point;
  const first = all[0]!;
  const moved = heap.at(Point, base as Address);
  return [
    () => {
      for (let i = 0; i < COUNT; i++) {
        const point = all[i]!;
        point.x += point.y;
      }
    },
    () => {
      for (let i = 0, address = base; i < COUNT; i++, address += size) {
        moved.address = address as Address;
        moved.x += moved.y;
      }
    },
    () => {
      for (let i = 0; i < COUNT; i++) first.x += first.y;
    },
    () => {
      let sum = 0;
      for (let i = 0; i < COUNT; i++) sum += all[i]!.id;
      seen += sum;
    },
  ];
}
