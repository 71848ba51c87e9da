/** What of the suites cannot run in a page, and why. All else in their folders does, unchanged. */

/** The folders of the suites that need nothing but the language and shared memory. */
export const FOLDERS = [
  'allocators',
  'browser',
  'channels',
  'containers',
  'heap',
  'memory',
  'misuse',
  'structs',
  'sync',
];

const THREADS = "starts threads of node:worker_threads; test/browser has threads of a page's own";
const SYSTEM = 'starts programs';
const ENGINE = "asks for V8's garbage collection, by flags of Node";
const SIZE = "measures a handle with Node's v8.serialize";
const SLEEP = 'sleeps, which the thread of a page may not';

/** Test files, by their path below `test`. */
export const FILES: Readonly<Record<string, string>> = {
  'allocators/racing-frees.test.ts': THREADS,
  'allocators/thread-cached-threads.test.ts': THREADS,
  'allocators/thread-cached.test.ts': THREADS,
  'allocators/threads.test.ts': THREADS,
  'channels/owners.test.ts': THREADS,
  'channels/threads.test.ts': THREADS,
  'containers/keep-alive.test.ts': SYSTEM,
  'containers/killed-holders.test.ts': THREADS,
  'containers/killed-threads.test.ts': THREADS,
  'containers/leaks.test.ts': ENGINE,
  'containers/map-threads.test.ts': THREADS,
  'containers/owners-threads.test.ts': THREADS,
  'containers/sync-threads.test.ts': THREADS,
  'containers/together-model.test.ts': THREADS,
  'containers/vec-field.test.ts': THREADS,
  'containers/vec-threads.test.ts': THREADS,
  'heap/attach.test.ts': THREADS,
  'heap/detach.test.ts': THREADS,
  'heap/hardened.test.ts': THREADS,
  'heap/lost.test.ts': THREADS,
  'heap/reap.test.ts': THREADS,
  'heap/rest.test.ts': THREADS,
  'heap/roots-race.test.ts': THREADS,
  'heap/slots.test.ts': THREADS,
  'heap/tracking-traces.test.ts': THREADS,
  'heap/watch-unblockable.test.ts': THREADS,
  'heap/watch.test.ts': THREADS,
  'memory/support.test.ts': SYSTEM,
  'misuse/frees.test.ts': THREADS,
  'structs/c-layout.test.ts': SYSTEM,
  'sync/lock-threads.test.ts': THREADS,
  'sync/lock-waiting.test.ts': THREADS,
  'sync/robust-lock-model.test.ts': SYSTEM,
};

/** Tests of the files that do run: the file, what the test's name begins with, the reason. */
export const TESTS: readonly (readonly [string, string, string])[] = [
  ['channels/channel.test.ts', 'a wait keeps the event loop alive', SYSTEM],
  ['containers/dying-holders.test.ts', 'a writer that died while it waited for readers', SLEEP],
  ['containers/dying-holders.test.ts', 'a thread that closed its object, or left, is no party', SLEEP],
  ['heap/create.test.ts', 'a heap of 4 GiB costs nothing until it is used', 'asks Node for its memory'],
  ['heap/poison.test.ts', 'throws nothing because headers are broken', SYSTEM],
  ['memory/atomics.test.ts', 'a word that has changed is not waited for', SLEEP],
  ['memory/atomics.test.ts', 'a wait ends when its time is up', SLEEP],
  ['memory/checksum.test.ts', 'of bytes at any offset, of a Buffer', "compares with Node's zlib"],
  ['containers/shape.test.ts', 'has a small handle that survives cloning', SIZE],
  ['containers/shape.test.ts', 'moves by a small handle, to one', SIZE],
  ['structs/struct-array.test.ts', 'is reopened by its handle, in another thread', SIZE],
  ['structs/atomic-cell.test.ts', 'wait answers at once when the word differs', SLEEP],
  ['structs/atomic-cell.test.ts', 'notify wakes a thread that waits', THREADS],
  ['sync/lock-record.test.ts', 'a parking waiter takes the word with the contended mark', SLEEP],
  ['sync/lock.test.ts', 'a timeout longer than a slice is waited out in slices', SLEEP],
];
