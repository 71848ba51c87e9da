import { SharedString, string } from '../../src/containers/string.ts';
import { SharedVec, type VecHandle } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import type { Heap } from '../../src/heap/heap.ts';
import type { Address } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import type { View } from '../../src/structs/inference.ts';
import { type bool, f64, u32, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { Equal, Expect } from './expect.ts';

declare const heap: Heap;
declare const address: Address;

// A recursive struct ------------------------------------------------------------------------------------

const Node = struct('Node', {
  name: string,
  get children() {
    return vec(Node);
  },
});
const node = heap.new(Node, { name: 'a', children: [{ name: 'b', children: [{ name: 'c' }] }] });

export type TextsAreStrings = Expect<Equal<typeof node.name, string>>;
export type ListsAreVecs = Expect<Equal<typeof node.children, SharedVec<typeof Node>>>;
export const deep: string = node.children.at(0).children.at(-1).name;
node.children.push({ name: 'd' }, { children: [] });
node.children.at(0, node);
node.set({ name: SharedString.create(heap, 'e'), children: null });
// @ts-expect-error: a string is wanted
node.name = 5;
// @ts-expect-error: nodes are wanted
node.children.push('d');
// @ts-expect-error: no such field
node.children.push({ colour: 'red' });

const loaded = node.children.toArray();
export const copied: string = loaded[0]!.children[0]!.children[0]!.name;
// @ts-expect-error: a plain object
loaded[0]!.address;

// Scalars -----------------------------------------------------------------------------------------------

const numbers = SharedVec.create(heap, f64, { capacity: 10 });
export type NumbersAreNumbers = Expect<Equal<ReturnType<typeof numbers.at>, number>>;
export type TypedArraysOfTheKind = Expect<
  Equal<ReturnType<typeof numbers.asTypedArray>, Float64Array<SharedArrayBuffer>>
>;
export const last: number | undefined = numbers.pop();
numbers.sort((a, b) => a - b);
// @ts-expect-error: a number is wanted
numbers.push(1n);
SharedVec.create(heap, u64, [1n]).push(2n);
// @ts-expect-error: numbers are wanted
SharedVec.create(heap, f64, ['a']);
export type BooleansHaveNone = Expect<Equal<ReturnType<SharedVec<typeof bool>['asTypedArray']>, never>>;
export type StructsHaveNone = Expect<Equal<ReturnType<SharedVec<typeof Node>['asTypedArray']>, never>>;

// Handles -----------------------------------------------------------------------------------------------

const { handle } = numbers;
export type HandlesKnow = Expect<Equal<typeof handle, VecHandle<typeof f64>>>;
export type OpenedByHandle = Expect<Equal<ReturnType<ReturnType<typeof openNumbers>['at']>, number>>;
function openNumbers() {
  return SharedVec.open(heap, handle);
}
export const byField: SharedVec<typeof u32> = SharedVec.at(heap, address, u32);
export const byRoot: SharedVec<typeof u32> | undefined = heap.roots.open('counts', SharedVec.type(u32));
declare const someHandle: VecHandle;
export const loose: unknown = SharedVec.open(heap, someHandle).at(0);
SharedVec.open(heap, someHandle).push('anything');

// In arrays -----------------------------------------------------------------------------------------------

const Grid = struct('Grid', { rows: array(vec(u32), 3), title: string });
const grid = heap.new(Grid, { rows: [[1], [2, 3], []] });
export const cell: number = grid.rows.at(1).at(0);
export type GridView = View<typeof Grid>;
