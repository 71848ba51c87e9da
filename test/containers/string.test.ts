/** SharedString and the field `string`: against JavaScript strings; who owns what; every refusal. */

import { inspect } from 'node:util';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import '../../src/containers/field-words.ts';
import { SharedString, type StringHandle, string } from '../../src/containers/string.ts';
import { hashBytes } from '../../src/containers/utf8.ts';
import { AttachError, HeapCorruptionError, OutOfMemoryError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { type Address, KiB, MiB, NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { u32 } from '../../src/structs/scalars.ts';
import { fieldSpelled } from '../../src/structs/schema.ts';
import { struct } from '../../src/structs/struct.ts';

const Person = struct('Person', { age: u32, name: string, nicknames: array(string, 2) });
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 60 }).map((u) => String.fromCharCode(...u)),
);

let heap: Heap;
beforeEach(() => {
  heap = Heap.create({ byteLength: 4 * MiB });
  return () => {
    heap.verify();
    heap.detach();
  };
});
const live = (): number => heap.stats().liveBlocks;

describe('a SharedString', () => {
  test('is what TextEncoder and TextDecoder make of a text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const made = SharedString.create(heap, text);
        const bytes = new TextEncoder().encode(text);
        expect(made.bytes()).toEqual(bytes);
        expect(made.byteLength).toBe(bytes.length);
        expect(made.toString()).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
        expect(made.hash).toBe(hashBytes(bytes, 0, bytes.length));
        expect(made.equals(text)).toBe(true);
        made.destroy();
        expect(live()).toBe(0);
      }),
    );
  });

  test('compares with texts and with others', () => {
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        const first = SharedString.create(heap, a);
        const second = SharedString.create(heap, b);
        const wanted = Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(Math.sign(first.compare(b))).toBe(wanted);
        expect(Math.sign(first.compare(second))).toBe(wanted);
        expect(first.equals(second)).toBe(wanted === 0);
        expect(first.equals(b)).toBe(wanted === 0);
        first.destroy();
        second.destroy();
      }),
    );
  });

  test('is opened by its handle, its address and a root', () => {
    const made = SharedString.create(heap, 'Grüße');
    const { handle } = made;
    expect(handle).toMatchObject({ kind: 'SharedString', heap: heap.id, address: made.address });
    expect(SharedString.open(heap, structuredClone(handle)).toString()).toBe('Grüße');
    heap.roots.set('greeting', made);
    expect(String(heap.roots.open('greeting', SharedString))).toBe('Grüße');
    made.destroy();
    expect(() => SharedString.open(heap, handle)).toThrow(AttachError);
    heap.roots.delete('greeting');
  });

  test('shows itself as its text, and cannot be posted', () => {
    const made = SharedString.create(heap, 'text');
    expect(JSON.stringify({ made })).toBe('{"made":"text"}');
    expect(inspect(made)).toBe("SharedString 'text'");
    expect(() => structuredClone(made)).toThrow(/post an address or a handle/);
    made.destroy();
    expect(inspect(made)).toBe('SharedString (released)');
  });

  test('is refused once released or destroyed', () => {
    const made = SharedString.create(heap, 'text');
    const other = SharedString.at(heap, made.address);
    other.release();
    other.release();
    expect(other.address).toBe(NULL);
    expect(() => other.toString()).toThrow(ReferenceError);
    const third = SharedString.at(heap, made.address);
    made.destroy();
    expect(() => made.byteLength).toThrow(/released or destroyed/);
    expect(() => third.toString()).toThrow(/was destroyed/);
    expect(live()).toBe(0);
  });

  test('refuses what is no text, no string and no room', () => {
    expect(() => SharedString.create(heap, 5 as never)).toThrow(TypeError);
    expect(() => SharedString.at(heap, heap.new(Person).address)).toThrow(AttachError);
    expect(() => SharedString.open(heap, 5 as unknown as StringHandle)).toThrow(TypeError);
    expect(() => SharedString.create(heap, 'x'.repeat(4 * MiB))).toThrow(OutOfMemoryError);
  });

  test('survives a handler that makes room and uses strings itself', () => {
    const hoard: Address[] = [];
    for (let size = MiB; size >= 64; size /= 2) {
      for (let block = heap.alloc(size); block !== NULL; block = heap.alloc(size)) hoard.push(block);
    }
    heap.onExhausted(() => {
      for (const block of hoard.splice(0)) heap.free(block);
      SharedString.create(heap, 'another text').destroy();
      return true;
    });
    const text = 'the text of it all '.repeat(40);
    const made = SharedString.create(heap, text);
    expect(made.toString()).toBe(text);
    expect(made.hash).toBe(hashBytes(new TextEncoder().encode(text), 0, text.length));
    made.destroy();
    heap.flush();
  });

  test('lives in an arena, too', () => {
    const arena = heap.arena(KiB);
    const made = SharedString.create(arena, 'text');
    expect(made.equals('text')).toBe(true);
    made.destroy();
    arena.release();
    expect(live()).toBe(0);
  });

  test('of an impossible length is reported', () => {
    const made = SharedString.create(heap, 'text');
    heap.memory.u32[(made.address >>> 2) + 2] = 0xffff_fff0;
    expect(() => made.toString()).toThrow(HeapCorruptionError);
    expect(() => made.bytes()).toThrow(HeapCorruptionError);
  });
});

describe('a string field', () => {
  test('reads and takes strings; the one before is freed', () => {
    const person = heap.new(Person, { name: 'Ada', nicknames: ['a', ''] });
    expect(live()).toBe(3);
    expect(person.name).toBe('Ada');
    expect([...person.nicknames]).toEqual(['a', '']);
    person.name = 'Grace Hopper';
    expect(person.name).toBe('Grace Hopper');
    expect(live()).toBe(3);
    person.name = '';
    expect(person.name).toBe('');
    expect(live()).toBe(2);
    expect(person.toJSON()).toEqual({ age: 0, name: '', nicknames: ['a', ''] });
    heap.delete(person);
    expect(live()).toBe(0);
    expect(person.name).toBeUndefined();
  });

  test('copies a SharedString', () => {
    const title = SharedString.create(heap, 'título');
    const person = heap.new(Person);
    person.set({ name: title });
    title.destroy();
    expect(person.name).toBe('título');
    heap.delete(person);
    expect(live()).toBe(0);
  });

  test('keeps any text', () => {
    const person = heap.new(Person);
    fc.assert(
      fc.property(texts, (text) => {
        person.name = text;
        expect(person.name).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.from(text)));
      }),
    );
    heap.delete(person);
    expect(live()).toBe(0);
  });

  test('stays as it was when it cannot take what is given', () => {
    const person = heap.new(Person, { name: 'Ada' });
    expect(() => person.set({ name: 5 as never })).toThrow('Person.name takes a string, got 5');
    expect(() => person.set({ name: 'x'.repeat(4 * MiB) })).toThrow(OutOfMemoryError);
    expect(person.name).toBe('Ada');
    heap.delete(person);
    expect(live()).toBe(0);
  });

  test('gives its text away', () => {
    const person = heap.new(Person, { name: 'Ada' });
    const field = string.bind(heap, 'name');
    const cell = person.address + Person.offsetOf('name');
    expect(field.take!(cell)).toBe('Ada');
    expect(person.name).toBe('');
    expect(field.take!(cell)).toBe('');
    heap.delete(person);
    expect(live()).toBe(0);
  });

  test('that holds something else is reported', () => {
    const person = heap.new(Person, { name: 'Ada' });
    heap.memory.u32[(person.address + 4) >>> 2] = person.address;
    expect(() => person.name).toThrow(HeapCorruptionError);
    expect(() => person.set({ name: 'Eve' })).toThrow(HeapCorruptionError);
  });

  test('is spelled by one word, and owned by the heap when the struct lies in an arena', () => {
    expect(fieldSpelled('array(string,2)').describe()).toBe('array(string,2)');
    const arena = heap.arena(KiB);
    const person = arena.new(Person, { name: 'Ada' });
    expect(live()).toBe(2);
    person.name = '';
    arena.release();
    expect(live()).toBe(0);
  });
});
