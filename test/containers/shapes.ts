/** Random types that own each other, made from plain descriptions that two threads build alike, and values of them. */

import fc from 'fast-check';
import * as sabheap from '../../src/index.ts';

type Library = Pick<
  typeof sabheap,
  'struct' | 'string' | 'vec' | 'box' | 'arc' | 'union' | 'f64' | 'u32' | 'u64' | 'bool'
>;
/** Any struct type. */
export type AnyStruct = sabheap.StructType<Record<string, never>>;
type AnyField = sabheap.Field;

/** A field, described. */
export type Shape =
  | { readonly kind: 'f64' | 'u32' | 'u64' | 'bool' | 'string' }
  | { readonly kind: 'vec'; readonly of: Shape }
  | { readonly kind: 'box' | 'arc' | 'struct'; readonly of: StructShape }
  | { readonly kind: 'union'; readonly of: readonly StructShape[] };
/** A struct, described: its fields are called a, b, c … */
export type StructShape = readonly Shape[];

const made = new Map<string, AnyStruct>();

/** The struct of a description: the same type each time. */
export function structOf(shape: StructShape, library: Library = sabheap): AnyStruct {
  const key = JSON.stringify(shape);
  let type = made.get(key);
  if (type === undefined) {
    const fields = Object.fromEntries(shape.map((field, index) => [nameOf(index), fieldOf(field, library)]));
    type = library.struct(structName(shape), fields as never) as unknown as AnyStruct;
    made.set(key, type);
  }
  return type;
}

/** Names of structs are unique in a heap: a hash of the description. */
function structName(shape: StructShape): string {
  let hash = 0n;
  for (const char of JSON.stringify(shape))
    hash = (hash * 1_000_003n + BigInt(char.charCodeAt(0))) % 2n ** 61n;
  return `Random${hash}`;
}

function nameOf(index: number): string {
  return String.fromCharCode(97 + index);
}

function fieldOf(shape: Shape, library: Library): AnyField {
  if (shape.kind === 'vec') return library.vec(fieldOf(shape.of, library));
  if (shape.kind === 'union') {
    const types = new Set(shape.of.map((one) => structOf(one, library)));
    return library.union(...([...types] as [AnyStruct])) as AnyField;
  }
  if (shape.kind === 'struct') return structOf(shape.of, library) as unknown as AnyField;
  if (shape.kind === 'box' || shape.kind === 'arc') {
    return library[shape.kind](structOf(shape.of, library)) as unknown as AnyField;
  }
  return library[shape.kind];
}

/** Descriptions of structs, nested up to `depth`. */
export function arbitraryStruct(depth: number): fc.Arbitrary<StructShape> {
  return fc.array(arbitraryShape(depth), { minLength: 1, maxLength: 4 });
}

function arbitraryShape(depth: number): fc.Arbitrary<Shape> {
  const plain = fc.constantFrom<Shape>(
    { kind: 'f64' },
    { kind: 'u32' },
    { kind: 'u64' },
    { kind: 'bool' },
    { kind: 'string' },
    { kind: 'string' },
  );
  if (depth === 0) return plain;
  const inner = arbitraryStruct(depth - 1);
  return fc.oneof(
    plain,
    fc.record({ kind: fc.constant('vec' as const), of: arbitraryShape(depth - 1) }),
    fc.record({ kind: fc.constantFrom('box' as const, 'arc' as const, 'struct' as const), of: inner }),
    fc.record({ kind: fc.constant('union' as const), of: fc.array(inner, { minLength: 1, maxLength: 2 }) }),
  );
}

/** A value: what to give to the heap, and what JSON has to show of it then. */
export interface Sample {
  readonly init: unknown;
  readonly json: unknown;
}

/** Values of a struct. */
export function arbitraryFields(shape: StructShape): fc.Arbitrary<Sample> {
  return fc.tuple(...shape.map(arbitraryValue)).map((samples) => ({
    init: Object.fromEntries(samples.map(({ init }, index) => [nameOf(index), init])),
    json: Object.fromEntries(samples.map(({ json }, index) => [nameOf(index), json])),
  }));
}

function arbitraryValue(shape: Shape): fc.Arbitrary<Sample> {
  const same = (values: fc.Arbitrary<unknown>) => values.map((init) => ({ init, json: init }));
  const none: Sample = { init: null, json: null };
  switch (shape.kind) {
    case 'f64':
    case 'u32':
      return same(fc.nat());
    case 'bool':
      return same(fc.boolean());
    case 'u64':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((init) => ({ init, json: String(init) }));
    case 'string':
      return same(fc.string({ maxLength: 20 }));
    case 'struct':
      return arbitraryFields(shape.of);
    case 'vec':
      return fc.array(arbitraryValue(shape.of), { maxLength: 4 }).map((samples) => ({
        init: samples.map(({ init }) => init),
        json: samples.map(({ json }) => json),
      }));
    case 'union':
      return fc.option(fc.oneof(...shape.of.map(arbitraryVariant)), { nil: none });
    default:
      return fc.option(arbitraryFields(shape.of), { nil: none });
  }
}

function arbitraryVariant(shape: StructShape): fc.Arbitrary<Sample> {
  const type = structOf(shape);
  return arbitraryFields(shape).map(({ init, json }) => ({
    init: { type, init },
    json: { type: type.name, init: json },
  }));
}
