import { expect, test } from 'vitest';
import { HeapCorruptionError } from '../../src/errors.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { create, struct } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const Lamp = struct('Lamp', { colour: oneOf('red', 'green', 'blue') });
const store = BumpStore.create();

test('round trip of every name, stored as its index', () => {
  const lamp = create(Lamp, store);
  expect(lamp.colour).toBe('red');
  (['green', 'blue', 'red'] as const).forEach((name) => {
    lamp.colour = name;
    expect(lamp.colour).toBe(name);
    expect(store.memory.u8[lamp.address]).toBe(['red', 'green', 'blue'].indexOf(name));
  });
  expect(create(Lamp, store, { colour: 'blue' }).toJSON()).toEqual({ colour: 'blue' });
});

test('an unknown name is refused by name, and nothing changes', () => {
  const lamp = create(Lamp, store, { colour: 'green' });
  for (const wrong of ['pink', '', 1, null, undefined, {}]) {
    expect(() => {
      lamp.colour = wrong as never;
    }).toThrow(TypeError);
  }
  expect(() => {
    lamp.colour = 'pink' as never;
  }).toThrow(`Lamp.colour takes one of "red", "green", "blue"; got "pink"`);
  expect(lamp.colour).toBe('green');
});

test('an index without a name is corruption', () => {
  const lamp = create(Lamp, store);
  store.memory.u8[lamp.address] = 3;
  expect(() => lamp.colour).toThrow(HeapCorruptionError);
  expect(() => lamp.colour).toThrow('Lamp.colour holds 3, one of 3 names is meant');
});

test('takes 1 to 256 different strings', () => {
  const many = Array.from({ length: 257 }, (_, index) => `name ${index}`);
  expect(() => oneOf(...(many as [string]))).toThrow(new RangeError('oneOf takes 1 to 256 names, got 257'));
  expect(() => oneOf(...([] as unknown as [string]))).toThrow(
    new RangeError('oneOf takes 1 to 256 names, got 0'),
  );
  expect(() => oneOf('a', 'b', 'a')).toThrow(new TypeError('oneOf was given "a" twice'));
  expect(() => oneOf('a', 5 as never)).toThrow(new TypeError('oneOf takes strings, got 5'));

  const Last = struct('Last', { name: oneOf(...(many.slice(0, 256) as [string])) });
  expect(create(Last, store, { name: 'name 255' }).name).toBe('name 255');
});
