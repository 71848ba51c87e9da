/**
 * Struct layout: where a C compiler would put the fields, and a hash that tells layouts apart.
 *
 *     struct('Point', { id: u8, x: f64, tag: u16 })
 *
 *     0    1         8               16    18       24
 *     ├ id ┼ padding ┼ x ────────────┼ tag ┼ padding ┤        size 24, align 8
 *
 * Each field lies at the next multiple of its alignment, in the order of the schema; the size is
 * rounded up to the largest alignment. The hash is 32-bit FNV-1a over names, kinds and offsets; nested
 * structs count with all of their fields, the targets of refs by name (they may be recursive).
 *
 * A schema is checked in two steps: names and plain values when `struct()` is called, getters when the
 * layout is first used, because what they return may be defined later.
 */

import { ADDRESS_LIMIT, alignUp } from '../memory/address.ts';
import { checkField, type Field, show } from './field.ts';

/** A field in its struct. */
export interface FieldLayout {
  readonly name: string;
  /** `'f64'`, `'array'`, `'struct'`, … */
  readonly kind: string;
  /** Bytes from the struct's start. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Bytes. */
  readonly align: number;
  readonly field: Field;
}

/** All that a schema comes to. Frozen; the same in every heap and thread. */
export interface StructLayout {
  /** In the order of the schema. */
  readonly fields: readonly FieldLayout[];
  /** Field name → position in `fields`. */
  readonly indexes: ReadonlyMap<string, number>;
  /** Bytes, a multiple of `align`. */
  readonly size: number;
  /** Bytes, a power of two. */
  readonly align: number;
  /** u32. */
  readonly hash: number;
  /** What the hash is taken over. */
  readonly description: string;
  /** Offsets of the addresses of owned blocks, those in nested structs and arrays included. */
  readonly owning: readonly number[];
}

/** An identifier without `$`, which views keep for themselves. */
const FIELD_NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;
/** The longest name of a struct, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255;

/**
 * Throws unless `name` can name a struct: 1 to 255 bytes of well-formed UTF-8.
 *
 * @throws TypeError
 */
export function checkStructName(name: unknown): asserts name is string {
  if (typeof name !== 'string') throw new TypeError(`a struct's name must be a string, got ${show(name)}`);
  const byteLength = new TextEncoder().encode(name).length;
  if (byteLength === 0 || byteLength > MAX_NAME_BYTES || /\p{Cs}/u.test(name)) {
    throw new TypeError(`a struct's name must be 1 to ${MAX_NAME_BYTES} bytes of UTF-8, got ${show(name)}`);
  }
  if (name.startsWith(':')) throw new TypeError(`a struct's name must not start with ':', got ${show(name)}`);
}

/**
 * Throws unless `schema` is a plain object of fields and getters under names that a view has free.
 *
 * @param taken whether a view has a property of that name itself
 * @throws TypeError that names the struct and the field
 */
export function checkSchema(name: string, schema: unknown, taken: (field: string) => boolean): void {
  if (typeof schema !== 'object' || schema === null || !isPlain(schema)) {
    throw new TypeError(`struct ${name} takes a plain object of fields, got ${show(schema)}`);
  }
  const keys = Reflect.ownKeys(schema);
  if (keys.length === 0) throw new TypeError(`struct ${name} has no fields`);
  for (const key of keys) {
    if (typeof key === 'symbol')
      throw new TypeError(`struct ${name} has a field named by a symbol: ${String(key)}`);
    if (taken(key))
      throw new TypeError(`struct ${name} cannot have a field named '${key}': views have one of their own`);
    if (!FIELD_NAME.test(key)) {
      throw new TypeError(
        `struct ${name} cannot have a field named ${show(key)}: want letters, digits and _`,
      );
    }
    const { get, value } = Object.getOwnPropertyDescriptor(schema, key)!;
    if (get === undefined) checkField(value, `${name}.${key} must be a field`);
  }
}

function isPlain(schema: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(schema);
  return prototype === null || (Object.getPrototypeOf(prototype) === null && !Array.isArray(schema));
}

/** The fields whose size is being worked out, outermost first: what a struct inside itself goes through. */
const trail: string[] = [];

/**
 * Works out a layout, calling the getters of the schema.
 *
 * @throws TypeError when a getter does not return a field
 * @throws RangeError when the struct would reach 4 GiB
 */
export function resolveLayout(name: string, schema: object): StructLayout {
  const fields: FieldLayout[] = [];
  let end = 0;
  let align = 1;
  for (const key of Object.keys(Object.getOwnPropertyDescriptors(schema))) {
    const field = followed(`${name}.${key}`, () => measure(name, key, schema));
    const offset = alignUp(end, field.align);
    fields.push(Object.freeze({ name: key, offset, ...field }));
    end = offset + field.size;
    align = Math.max(align, field.align);
    if (end >= ADDRESS_LIMIT) throw new RangeError(`struct ${name} reaches 4 GiB at its field ${key}`);
  }
  const size = alignUp(end, align);
  if (size >= ADDRESS_LIMIT) throw new RangeError(`struct ${name} reaches 4 GiB`);
  const inner = fields.map((field) => `${field.name}:${field.field.describe()}@${field.offset}`).join();
  const description = `${JSON.stringify(name)}{${inner}}${size}/${align}`;
  return Object.freeze({
    fields: Object.freeze(fields),
    indexes: new Map(fields.map((field, index) => [field.name, index])),
    size,
    align,
    hash: hashOf(description),
    description,
    owning: Object.freeze(fields.flatMap(({ field, offset }) => field.owning.map((inner) => offset + inner))),
  });
}

function measure(name: string, key: string, schema: object): Omit<FieldLayout, 'name' | 'offset'> {
  const field: unknown = Reflect.get(schema, key);
  checkField(field, `${name}.${key} must be a field`);
  return { kind: field.kind, size: field.size, align: field.align, field };
}

function followed<T>(path: string, resolve: () => T): T {
  trail.push(path);
  try {
    return resolve();
  } finally {
    trail.pop();
  }
}

/** The error for a struct whose layout is needed to work out its own. */
export function containsItself(name: string): TypeError {
  return new TypeError(
    `struct ${name} contains itself by value (${[...trail, name].join(' → ')}): use ref(${name}) instead`,
  );
}

/** 32-bit FNV-1a over the text's UTF-8 bytes. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
