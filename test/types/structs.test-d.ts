import type { Address } from '../../src/memory/address.ts';
import { array, bytes } from '../../src/structs/array-field.ts';
import { type AtomicCell, atomic, type WaitableCell } from '../../src/structs/atomic-cell.ts';
import type { FixedArray } from '../../src/structs/fixed-array.ts';
import type { AnyStructType, InferView, Init, NotAField, View } from '../../src/structs/inference.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { type RefField, ref } from '../../src/structs/reference.ts';
import { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from '../../src/structs/scalars.ts';
import type { StructStore } from '../../src/structs/store.ts';
import { create, type StructType, struct, viewAt } from '../../src/structs/struct.ts';
import type { StructArray, StructArrayHandle } from '../../src/structs/struct-array.ts';
import type { Equal, Expect } from './expect.ts';

declare const store: StructStore;

// Scalars ----------------------------------------------------------------------------------------------

const Scalars = struct('Scalars', { i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, bool });
const scalars = create(Scalars, store);

export type NumbersAreNumbers = Expect<
  Equal<
    Pick<typeof scalars, 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'f32' | 'f64'>,
    { i8: number; u8: number; i16: number; u16: number; i32: number; u32: number; f32: number; f64: number }
  >
>;
export type LongsAreBigints = Expect<
  Equal<Pick<typeof scalars, 'i64' | 'u64'>, { i64: bigint; u64: bigint }>
>;
export type BoolIsBoolean = Expect<Equal<typeof scalars.bool, boolean>>;

scalars.f64 = 5;
scalars.i64 = 5n;
// @ts-expect-error: a bigint is wanted
scalars.i64 = 5;
// @ts-expect-error: a number is wanted
scalars.f64 = '5';
// @ts-expect-error: a number is wanted
scalars.f64 = null;
// @ts-expect-error: no such field
scalars.nothing;

// Other fields -----------------------------------------------------------------------------------------

const Point = struct('Point', { x: f64, y: f64 });
const Mixed = struct('Mixed', {
  floats: array(f32, 3),
  longs: array(u64, 3),
  flags: array(bool, 3),
  raw: bytes(16),
  kind: oneOf('red', 'green'),
  at: Point,
  path: array(Point, 4),
  grid: array(array(u8, 2), 2),
  link: ref(Point),
  count: atomic(i32),
  total: atomic(u64),
});
const mixed = create(Mixed, store, { kind: 'green', floats: [1, 2, 3], at: { x: 1 }, count: 5, total: 5n });

export type ArraysOfNumbersAreTypedArrays = Expect<
  Equal<typeof mixed.floats, Float32Array<SharedArrayBuffer>>
>;
export type ArraysOfBigintsAreTypedArrays = Expect<
  Equal<typeof mixed.longs, BigUint64Array<SharedArrayBuffer>>
>;
export type BytesAreBytes = Expect<Equal<typeof mixed.raw, Uint8Array<SharedArrayBuffer>>>;
export type ArraysOfBoolsAreFixedArrays = Expect<Equal<typeof mixed.flags, FixedArray<boolean>>>;
export type OneOfIsAUnion = Expect<Equal<typeof mixed.kind, 'red' | 'green'>>;
export type NestedStructsAreViews = Expect<Equal<typeof mixed.at, View<typeof Point>>>;
export type ElementsAreViews = Expect<Equal<ReturnType<typeof mixed.path.at>, View<typeof Point>>>;
export type ArraysNest = Expect<Equal<ReturnType<typeof mixed.grid.at>, Uint8Array<SharedArrayBuffer>>>;
export type RefsAreNullable = Expect<Equal<typeof mixed.link, View<typeof Point> | null>>;
export type AtomicI32Waits = Expect<Equal<typeof mixed.count, WaitableCell>>;
export type AtomicU64IsOfBigints = Expect<Equal<typeof mixed.total, AtomicCell<bigint>>>;

mixed.kind = 'red';
mixed.at = create(Point, store);
mixed.path.set(0, { x: 1 });
mixed.set({ at: { y: 2 }, path: new Set([create(Point, store)]), raw: new Uint8Array(16), count: 1 });
mixed.set(mixed);
// @ts-expect-error: not one of the names
mixed.kind = 'blue';
// @ts-expect-error: a cell cannot be assigned to
mixed.count = 5;
// @ts-expect-error: Point has no z
mixed.set({ at: { z: 2 } });
// @ts-expect-error: numbers are wanted
mixed.set({ floats: ['1', '2', '3'] });
// @ts-expect-error: only i32, u32, i64 and u64 are atomic
atomic(f64);
// @ts-expect-error: a name is wanted
oneOf();
// @ts-expect-error: a field is wanted
array(5, 3);
// @ts-expect-error: a struct is wanted
ref(f64);

// Views ------------------------------------------------------------------------------------------------

export type AddressReadsAsAddress = Expect<Equal<typeof mixed.address, Address>>;
mixed.address = 4096;
const link: Address = mixed.addressOf('link');
viewAt(Point, store, link).x = 1;
Point.at(store, 4096).y = 1;
// @ts-expect-error: only refs hold addresses
mixed.addressOf('kind');
// @ts-expect-error: no such field
Point.offsetOf('z');
export type InferViewIsView = Expect<Equal<InferView<typeof Point>, View<typeof Point>>>;
export type InitIsPartial = Expect<Equal<Init<typeof Point>, { x?: number; y?: number }>>;

// @ts-expect-error: no such field
create(Point, store, { z: 1 });
// @ts-expect-error: a number is wanted
create(Point, store, { x: '1' });

// Recursion --------------------------------------------------------------------------------------------

const Node = struct('Node', {
  value: f64,
  get next() {
    return ref(Node);
  },
  get children() {
    return array(ref(Node), 4);
  },
});
type NodeView = View<typeof Node>;
declare const node: NodeView;

export type NextIsANode = Expect<Equal<typeof node.next, NodeView | null>>;
export type ChildrenAreNodes = Expect<Equal<typeof node.children, FixedArray<NodeView | null>>>;
const deep: number | undefined = node.next?.next?.children.at(0)?.next?.value;
node.next = node;
node.next = null;
node.children.set(1, node);
create(Node, store, { value: deep ?? 0, next: node, children: [node, null, null, null] });
// @ts-expect-error: a Point is no Node
node.next = create(Point, store);
// @ts-expect-error: an address is no view
node.next = node.address;
// @ts-expect-error: only null unlinks
node.next = undefined;

const Person = struct('Person', {
  age: u32,
  get house() {
    return ref(House);
  },
});
const House = struct('House', {
  get owner() {
    return ref(Person);
  },
  get people() {
    return array(ref(Person), 2);
  },
  entry: Point,
});
declare const person: View<typeof Person>;
const age: number | undefined = person.house?.people.at(0)?.house?.owner?.age;
export const used: unknown = age;
person.house = create(House, store, { owner: person, entry: { x: 1 } });
// @ts-expect-error: a Person is no House
person.house = person;

/** Two structs of one shape are two types. */
const Twin = struct('Twin', { x: f64, y: f64 });
const Holder = struct('Holder', { point: ref(Point) });
// @ts-expect-error: a Twin is no Point
create(Holder, store).point = create(Twin, store);

// Schemas ----------------------------------------------------------------------------------------------

// @ts-expect-error: 5 is no field
struct('Bad', { x: f64, y: 5 });
// @ts-expect-error: an object is no field
struct('Bad', { x: { y: f64 } });
// @ts-expect-error: a function is no field
struct('Bad', { next: () => Node });
const Wrong = struct('Wrong', {
  get x() {
    return 5;
  },
});
declare const wrong: View<typeof Wrong>;
export type AGetterOfNoField = Expect<Equal<typeof wrong.x, NotAField>>;

export type NamesAreKept = Expect<Equal<typeof Point.name, 'Point'>>;
export type TypesStayReadable = Expect<
  Equal<typeof Point, StructType<{ x: typeof f64; y: typeof f64 }, 'Point'>>
>;
export type RefsNameTheirTarget = Expect<Equal<ReturnType<typeof ref<typeof Point>>, RefField<typeof Point>>>;

/** What takes any struct type keeps its fields. */
function second<T extends AnyStructType>(type: T, array: StructArray<T>): View<T> {
  return array.at(1, viewAt(type, store, 4096));
}
export type GenericsKeepFields = Expect<Equal<ReturnType<typeof second<typeof Point>>, View<typeof Point>>>;

// Arrays -----------------------------------------------------------------------------------------------

const rows = Mixed.array(store, 3);
const columns = Mixed.array(store, 3, { layout: 'columns' });
export type Rows = Expect<Equal<typeof rows, StructArray<typeof Mixed, 'rows'>>>;
export type Columns = Expect<Equal<typeof columns, StructArray<typeof Mixed, 'columns'>>>;
const total = columns.column('total');
export type ColumnsOfOthersAreFixedArrays = Expect<
  Equal<typeof total, FixedArray<AtomicCell<bigint>, bigint>>
>;
const kinds = rows.column('kind');
export type RowColumnsAreFixedArrays = Expect<Equal<typeof kinds, FixedArray<'red' | 'green'>>>;
const xs = Point.array(store, 3, { layout: 'columns' }).column('x');
export type NumberColumnsAreTypedArrays = Expect<Equal<typeof xs, Float64Array<SharedArrayBuffer>>>;
const reopened = Mixed.arrayAt(store, columns.handle);
export type ReopenedInItsLayout = Expect<Equal<typeof reopened, StructArray<typeof Mixed, 'columns'>>>;
declare const anyHandle: StructArrayHandle;
const either = Mixed.arrayAt(store, anyHandle);
export type ReopenedInEitherLayout = Expect<
  Equal<typeof either, StructArray<typeof Mixed, 'rows' | 'columns'>>
>;
for (const view of rows) view.at.x = rows.at(0, view).at.y;
// @ts-expect-error: a view of the same struct is wanted
rows.at(0, node);
// @ts-expect-error: no such field
rows.column('nothing');
// @ts-expect-error: no such layout
Mixed.array(store, 3, { layout: 'diagonal' });
