import { Condition } from '../../src/containers/condition.ts';
import { Mutex, type MutexHandle } from '../../src/containers/mutex.ts';
import { RwLock } from '../../src/containers/rw-lock.ts';
import type { ContainerStore } from '../../src/containers/store.ts';
import type { Heap } from '../../src/heap/heap.ts';
import type { View } from '../../src/structs/inference.ts';
import { f64, u64 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { Equal, Expect } from './expect.ts';

declare const store: ContainerStore;
declare const heap: Heap;

const Account = struct('Account', { balance: f64, id: u64 });
const mutex = Mutex.create(store, Account, { balance: 1 });
const guard = mutex.lock();
const number = Mutex.create(store, f64, 1);

export type StructsComeAsViews = Expect<Equal<typeof guard.value, View<typeof Account>>>;
const balance = mutex.with((account) => account.balance);
export type WithGivesTheResult = Expect<Equal<typeof balance, number>>;
const later = mutex.withAsync(async (account, { recovered }) => (recovered ? 0n : account.id));
export type WithAsyncGivesAPromiseOfIt = Expect<Equal<typeof later, Promise<bigint>>>;
const cell = number.with(({ value }) => value);
export type OthersComeAsCells = Expect<Equal<typeof cell, number>>;
const got = number.lock();
export type GuardsOfOthersGiveTheValue = Expect<Equal<typeof got.value, number>>;
got.value = 5;
guard.value = { balance: 5 };
// @ts-expect-error: a number is wanted
got.value = '5';
// @ts-expect-error: no such field
guard.value = { colour: 5 };
// @ts-expect-error: no such field
Mutex.create(store, Account, { colour: 5 });

const opened = Mutex.open(store, mutex.handle);
export type HandlesKnowTheirField = Expect<Equal<typeof opened, Mutex<typeof Account>>>;
declare const unknown: MutexHandle;
const named = Mutex.open(store, unknown, Account);
export type FieldsGivenAreKnown = Expect<Equal<typeof named, Mutex<typeof Account>>>;
export const loose: string = Mutex.open(store, unknown).with((value) => value.anything);
const root = heap.roots.open('account', Mutex.type(Account));
export type RootsKnowTheType = Expect<Equal<typeof root, Mutex<typeof Account> | undefined>>;
export type ClassesAreOpened = Expect<Equal<ReturnType<typeof openCondition>, Condition | undefined>>;
function openCondition() {
  return heap.roots.open('changed', Condition);
}

const lock = RwLock.create(store, Account);
const reading = lock.lockRead();
// @ts-expect-error: readers do not write
reading.value.balance = 5;
lock.read((account) => {
  // @ts-expect-error: readers do not write
  account.balance = 5;
});
lock.write((account) => {
  account.balance = 5;
});
openCondition()?.waitFor(guard, ({ balance: now }) => now > 5);
// @ts-expect-error: a read guard is no mutex's
openCondition()?.wait(reading);
