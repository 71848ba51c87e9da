/** Schema: a field is found again by its spelling, and by the hash that another thread registered. */

import { afterAll, expect, test } from 'vitest';
import '../../src/containers/field-words.ts';
import { AttachError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import { array, bytes } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f64, i32, u8 } from '../../src/structs/scalars.ts';
import { fieldSpelled, fieldWithHash, hashOfField, registerLayout } from '../../src/structs/schema.ts';
import { struct } from '../../src/structs/struct.ts';

const Point = struct('Point', { x: f64, y: f64 });
const Odd = struct('odd "name", (1)', { b: bool });
const heap = Heap.create({ byteLength: MiB });
afterAll(() => heap.detach());

const FIELDS = [
  ['f64', f64],
  ['bool', bool],
  ['array(f64,3)', array(f64, 3)],
  ['array(array("Point",2),3)', array(array(Point, 2), 3)],
  ['bytes(16)', bytes(16)],
  ['ref("Point")', ref(Point)],
  ['oneOf("a","b, (c)")', oneOf('a', 'b, (c)')],
  ['atomic(i32)', atomic(i32)],
  ['"Point"', Point],
  ['"odd \\"name\\", (1)"', Odd],
] as const;

test.each(FIELDS)('%s', (spelling, field) => {
  expect(field.spell()).toBe(spelling);
  expect(fieldSpelled(spelling).describe()).toBe(field.describe());
  const hash = registerLayout(field, heap);
  expect(hash).toBe(hashOfField(field));
  expect(registerLayout(field, heap)).toBe(hash);
  expect(fieldWithHash(hash, heap).describe()).toBe(field.describe());
});

test.each(['', 'f65', 'f64 ', 'array(f64,3', 'array(f64,3))', '3', 'f64,f64', '(f64)'])(
  "'%s' spells no field",
  (text) => {
    expect(() => fieldSpelled(text)).toThrow(AttachError);
  },
);

test('a struct that this thread has not declared is named', () => {
  expect(() => fieldSpelled('ref("Nobody")')).toThrow("has not declared a struct named 'Nobody'");
});

test('a struct that this thread has declared otherwise is refused', () => {
  const First = struct('Changing', { x: f64 });
  const hash = registerLayout(First, heap);
  struct('Changing', { x: f64, y: u8 });
  expect(() => fieldWithHash(hash, heap)).toThrow('declared Changing with another layout');
});

test('a hash that nobody registered is refused', () => {
  expect(() => fieldWithHash(12345, heap)).toThrow(AttachError);
});

test('a struct cannot have the name of another field', () => {
  expect(() => struct(':f64', { x: f64 })).toThrow("must not start with ':'");
});
