import { SharedMap } from '../../src/containers/map.ts';
import { SharedSet } from '../../src/containers/set.ts';
import type { ContainerStore } from '../../src/containers/store.ts';
import { string } from '../../src/containers/string.ts';
import type { View } from '../../src/structs/inference.ts';
import { f64, u32, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { Equal, Expect } from './expect.ts';

declare const heap: ContainerStore;

const Point = struct('Point', { x: f64, id: u64 });
const counts = SharedMap.create(heap, string, u32);
const points = SharedMap.create(heap, u64, Point);

const count = counts.get('a');
export type CountsAreNumbers = Expect<Equal<typeof count, number | undefined>>;
const sum = counts.add('a', 1);
export type SumsAreNumbers = Expect<Equal<typeof sum, number>>;
// @ts-expect-error: keys are strings
counts.get(1);
// @ts-expect-error: values are numbers
counts.set('a', '1');
// @ts-expect-error: a struct is no number
points.add(1n, 1);

const point = points.get(1n);
export type StructsAreCopied = Expect<Equal<typeof point, { x: number; id: bigint } | undefined>>;
const x = points.with(1n, (view) => {
  type InPlace = Expect<Equal<typeof view, View<typeof Point>>>;
  return view.x as InPlace extends true ? number : never;
});
export type WithGivesItsResult = Expect<Equal<typeof x, number | undefined>>;
points.set(1n, { x: 1 });
// @ts-expect-error: no such field
points.set(1n, { y: 1 });

const entries = [...points];
export type EntriesAreTyped = Expect<Equal<typeof entries, [bigint, { x: number; id: bigint }][]>>;

const opened = SharedMap.open(heap, points.handle);
const again = opened.get(1n);
export type HandlesCarryTheFields = Expect<Equal<typeof again, { x: number; id: bigint } | undefined>>;

const seen = SharedSet.open(heap, SharedSet.create(heap, string).handle);
const keys = [...seen];
export type SetsAreTyped = Expect<Equal<typeof keys, string[]>>;
// @ts-expect-error: keys are strings
seen.add(1);

// A map opened by a handle of unknown origin takes and gives anything.
SharedMap.at(heap, counts.address).set('a', 1);
