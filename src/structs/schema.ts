/**
 * Schema: which field a text means, so that a container can be opened by its bytes alone.
 *
 *     vec(array(f64, 3)).spell()          'vec(array(f64,3))'
 *     fieldSpelled('vec(array(f64,3))')   the field again; structs by name, as this thread declared them
 *
 * A container keeps the hash of its element's layout. The registry knows structs by their names, other
 * fields by ':' and their spelling.
 */

import { AttachError, hex } from '../errors.ts';
import { Field } from './field.ts';
import type { AnyStructType } from './inference.ts';
import type { StructStore } from './store.ts';
import { hashOf } from './struct-layout.ts';

/** Before the spelling of a field that is no struct, among the names of the registry. */
const FIELD_MARK = ':';

type Argument = Field | number | string;
type FieldMaker = (...args: never[]) => Field;

const makers = new Map<string, FieldMaker>();
const structs = new Map<string, AnyStructType>();

/** Says which function makes the fields that are spelled with `word`. */
export function registerField(word: string, make: FieldMaker): void {
  makers.set(word, make);
}

/** Remembers a struct type under its name; the latest of a name is the one that is found. */
export function declareStruct(type: AnyStructType): void {
  structs.set(type.name, type);
}

/**
 * The struct type that this thread has declared under a name.
 *
 * @throws AttachError when there is none
 */
export function structNamed(name: string): AnyStructType {
  const type = structs.get(name);
  if (type !== undefined) return type;
  throw new AttachError(
    `this thread has not declared a struct named '${name}': import the module that does, or give the type to open()`,
  );
}

/** Tells the layouts of fields apart; a struct's is its layout hash. A u32, never 0. */
export function hashOfField(field: Field): number {
  if (isStruct(field)) return field.hash;
  return hashOf(field.describe()) || 1;
}

/**
 * Makes a field known to all threads and gives its hash.
 *
 * @throws OutOfMemoryError when the heap has no room to register it
 */
export function registerLayout(field: Field, store: StructStore): number {
  const { layouts } = store;
  if (isStruct(field)) {
    layouts.register(field, store);
    return field.hash;
  }
  const { size, align, owning } = field;
  const hash = hashOfField(field);
  if (layouts.find(hash) === undefined) {
    layouts.register({ name: FIELD_MARK + field.spell(), layout: { hash, size, align, owning } }, store);
  }
  return hash;
}

/**
 * The field with a hash, as another thread registered it.
 *
 * @throws AttachError when this thread has not declared the struct, or declared it otherwise
 */
export function fieldWithHash(hash: number, store: StructStore): Field {
  const layout = store.layouts.find(hash);
  if (layout === undefined) throw new AttachError(`the heap holds no layout with hash ${hex(hash)}`);
  const { name } = layout;
  const field = name.startsWith(FIELD_MARK) ? fieldSpelled(name.slice(1)) : (structNamed(name) as Field);
  if (hashOfField(field) === hash) return field;
  throw new AttachError(`this thread has declared ${name.replace(FIELD_MARK, '')} with another layout`);
}

/**
 * The field that a spelling means.
 *
 * @throws AttachError for a word that no field is spelled with, or a struct not declared here
 */
export function fieldSpelled(text: string): Field {
  const reader = new Reader(text);
  const field = reader.field();
  if (!reader.done) throw reader.error();
  return field;
}

/** Reads `word`, `word(argument,…)` and `"Name of a struct"`. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at === this.#text.length;
  }

  error(): AttachError {
    return new AttachError(`'${this.#text}' spells no field that this version knows`);
  }

  field(): Field {
    const argument = this.#argument();
    if (typeof argument === 'string') return structNamed(argument);
    if (typeof argument === 'number') throw this.error();
    return argument;
  }

  #argument(): Argument {
    const quoted = this.#match(/"(?:[^"\\]|\\.)*"/y);
    if (quoted !== undefined) return JSON.parse(quoted) as string;
    const digits = this.#match(/\d+/y);
    if (digits !== undefined) return Number(digits);
    const make = makers.get(this.#match(/\w+/y) ?? '');
    if (make === undefined) throw this.error();
    return make(...(this.#arguments() as never[]));
  }

  #arguments(): Argument[] {
    const args: Argument[] = [];
    if (this.#match(/\(/y) === undefined) return args;
    do args.push(this.#argument());
    while (this.#match(/,/y) !== undefined);
    if (this.#match(/\)/y) === undefined) throw this.error();
    return args;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }
}

/** An argument that is a field, or the name of a struct. */
export function asField(argument: Argument): Field {
  return typeof argument === 'string' ? structNamed(argument) : (argument as Field);
}

function isStruct(field: Field): field is AnyStructType {
  return field instanceof Field && field.kind === 'struct';
}
