import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { HeapCorruptionError } from '../../src/errors.ts';
import { NULL } from '../../src/memory/address.ts';
import { array } from '../../src/structs/array-field.ts';
import { releaseView } from '../../src/structs/deleted-view.ts';
import type { View } from '../../src/structs/inference.ts';
import { ref } from '../../src/structs/reference.ts';
import { f64, u32 } from '../../src/structs/scalars.ts';
import { create, struct, viewAt } from '../../src/structs/struct.ts';
import { BumpStore } from './bump-store.ts';

const Node = struct('Node', {
  value: f64,
  get next() {
    return ref(Node);
  },
});
const Tree = struct('Tree', {
  key: u32,
  get left() {
    return ref(Tree);
  },
  get right() {
    return ref(Tree);
  },
});
const Person = struct('Person', {
  age: u32,
  get house() {
    return ref(House);
  },
});
const House = struct('House', {
  number: u32,
  get people() {
    return array(ref(Person), 2);
  },
});

function list(store: BumpStore, values: readonly number[]): View<typeof Node> {
  let head: View<typeof Node> | null = null;
  for (const value of [...values].reverse()) head = create(Node, store, { value, next: head });
  return head!;
}

describe('recursion', () => {
  test('a list, walked by views', () => {
    const store = BumpStore.create();
    const values: number[] = [];
    for (let node: View<typeof Node> | null = list(store, [1, 2, 3]); node !== null; node = node.next) {
      values.push(node.value);
    }
    expect(values).toEqual([1, 2, 3]);
  });

  test('a list, walked by addresses with one view', () => {
    const store = BumpStore.create();
    const node = list(store, [1, 2, 3]);
    const values = [node.value];
    for (let at = node.addressOf('next'); at !== NULL; at = node.addressOf('next')) {
      node.address = at;
      values.push(node.value);
    }
    expect(values).toEqual([1, 2, 3]);
  });

  test('a ring', () => {
    const store = BumpStore.create();
    const node = create(Node, store, { value: 4 });
    node.next = node;
    expect(node.next?.next?.next?.value).toBe(4);
    expect(node.addressOf('next')).toBe(node.address);
  });

  test('a search tree', () => {
    const store = BumpStore.create();
    const insert = (tree: View<typeof Tree> | null, key: number): View<typeof Tree> => {
      if (tree === null) return create(Tree, store, { key });
      if (key < tree.key) tree.left = insert(tree.left, key);
      else tree.right = insert(tree.right, key);
      return tree;
    };
    let root: View<typeof Tree> | null = null;
    for (const key of [5, 2, 8, 1, 9, 3]) root = insert(root, key);
    const keys: number[] = [];
    const visit = (tree: View<typeof Tree> | null): void => {
      if (tree === null) return;
      visit(tree.left);
      keys.push(tree.key);
      visit(tree.right);
    };
    visit(root);
    expect(keys).toEqual([1, 2, 3, 5, 8, 9]);
    expect(root?.addressOf('right')).toBe(root?.right?.address);
  });

  test('two types that link to each other', () => {
    const store = BumpStore.create();
    const house = create(House, store, { number: 7 });
    const person = create(Person, store, { age: 30, house });
    house.people.set(1, person);
    expect(person.house?.people.at(1)?.house?.number).toBe(7);
    expect([...house.people].map((each) => each?.age)).toEqual([undefined, 30]);
  });

  test('a type is in use before what it links to is fully declared', () => {
    const store = BumpStore.create();
    const Middle = struct('Middle', {
      get late() {
        return ref(Late);
      },
    });
    const Early = struct('Early', { link: ref(Middle) });
    const early = create(Early, store);
    const Late = struct('Late', { value: f64 });
    early.link = create(Middle, store, { late: create(Late, store, { value: 2 }) });
    expect(early.link?.late?.value).toBe(2);
  });
});

describe('a ref', () => {
  test('starts as null and goes back to it', () => {
    const store = BumpStore.create();
    const node = create(Node, store, { next: create(Node, store) });
    node.next = null;
    expect(node.next).toBe(null);
    expect(node.addressOf('next')).toBe(NULL);
  });

  test('marks the block that it links to as shared', () => {
    const store = BumpStore.create();
    const target = create(Node, store);
    const node = create(Node, store);
    expect(store.shared.has(target.address)).toBe(false);
    node.next = target;
    expect([...store.shared]).toEqual([target.address]);
  });

  test('links to an element of an array, which is no block', () => {
    const store = BumpStore.create();
    const nodes = Node.array(store, 3);
    const node = create(Node, store, { next: nodes.at(2) });
    expect(node.addressOf('next')).toBe(nodes.at(2).address);
    expect(store.shared.size).toBe(0);
  });

  test('takes only a view of its type in the same heap', () => {
    const store = BumpStore.create();
    const other = BumpStore.create();
    const node = create(Node, store);
    const assign = (given: unknown) => () => {
      node.next = given as never;
    };
    const wanted = 'Node.next takes a view of Node in the same heap, or null; got';
    expect(assign(create(Tree, store))).toThrow(new TypeError(`${wanted} a view of Tree`));
    expect(assign(create(Node, other))).toThrow(new TypeError(`${wanted} a view of Node`));
    expect(assign(4200)).toThrow(new TypeError(`${wanted} 4200`));
    expect(assign(undefined)).toThrow(new TypeError(`${wanted} undefined`));
    expect(assign({ value: 1 })).toThrow(new TypeError(`${wanted} an object`));
    const columns = Node.array(store, 1, { layout: 'columns' });
    expect(assign(columns.at(0))).toThrow(new TypeError(`${wanted} Node in columns, which has no address`));
    expect(node.next).toBe(null);
  });

  test('takes a view of a type that was declared twice alike', () => {
    const store = BumpStore.create();
    const Twin: typeof Node = struct('Node', {
      value: f64,
      get next() {
        return ref(Twin);
      },
    });
    const node = create(Node, store);
    node.next = create(Twin, store, { value: 5 });
    expect(node.next?.value).toBe(5);
  });

  test('does not link to a deleted struct', () => {
    const store = BumpStore.create();
    const target = create(Node, store);
    releaseView(target);
    expect(() => create(Node, store, { next: target })).toThrow(
      new TypeError('Node.next cannot link to a deleted Node'),
    );
  });

  test('that holds an impossible address is corruption', () => {
    const store = BumpStore.create();
    const node = create(Node, store);
    for (const stray of [4, 12, store.memory.byteLength - 8, 2 ** 32 - 8]) {
      store.memory.u32[(node.address + Node.offsetOf('next')) >>> 2] = stray;
      expect(() => node.next, String(stray)).toThrow(HeapCorruptionError);
    }
    expect(() => node.next).toThrow('Node.next holds 0xfffffff8, where no Node can lie');
  });

  test('is shown and written as an address, never followed', () => {
    const store = BumpStore.create();
    const node = create(Node, store, { value: 1 });
    node.next = node;
    const hex = `0x${node.address.toString(16).padStart(8, '0')}`;
    expect(inspect(node, { depth: null })).toBe(`Node { value: 1, next: <Node at ${hex}> }`);
    expect(inspect(create(Node, store))).toBe('Node { value: 0, next: null }');
    expect(node.toJSON()).toEqual({ value: 1, next: node.address });
  });
});

test('addressOf knows refs alone', () => {
  const store = BumpStore.create();
  const tree = create(Tree, store);
  expect(tree.addressOf('right')).toBe(NULL);
  expect(() => tree.addressOf('key' as never)).toThrow(new TypeError('Tree has no ref field named "key"'));
  expect(() => tree.addressOf('nothing' as never)).toThrow(
    new TypeError('Tree has no ref field named "nothing"'),
  );
  const columns = Tree.array(store, 2, { layout: 'columns' });
  const element = columns.at(1);
  element.right = tree;
  expect(element.addressOf('right')).toBe(tree.address);
  expect(viewAt(Tree, store, element.addressOf('right')).key).toBe(0);
});

test('ref takes a struct type', () => {
  for (const wrong of [5, null, {}, f64, Node.name, () => Node])
    expect(() => ref(wrong as never)).toThrow(TypeError);
  expect(() => ref(f64 as never)).toThrow('ref takes a struct type, got the field f64');
  expect(() => ref(undefined as never)).toThrow(
    'ref takes a struct type, got undefined; for one that is defined later, use a getter: get next() { return ref(Node); }',
  );
});
