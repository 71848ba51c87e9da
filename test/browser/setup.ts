/** Before each test file in a page: what the suites use of Node's globals, and the tests that are left out. */

import { Buffer } from 'buffer/';
import { beforeEach } from 'vitest';
import { signOfLife } from '#platform';
import { TESTS } from './left-out.ts';

Object.assign(globalThis, { Buffer });

// From now on it is there at once, as in Node: nothing is written into a heap behind a test's back.
await signOfLife();

/** As Node's, which takes any bytes and is fast. */
Buffer.prototype.equals = function equals(this: Uint8Array, other: Uint8Array): boolean {
  const { length } = this;
  if (other.length !== length) return false;
  const words = this.byteOffset % 4 === 0 && other.byteOffset % 4 === 0 ? length >>> 2 : 0;
  if (words > 0) {
    const these = new Uint32Array(this.buffer, this.byteOffset, words);
    const those = new Uint32Array(other.buffer, other.byteOffset, words);
    for (let i = 0; i < words; i++) if (these[i] !== those[i]) return false;
  }
  for (let i = words * 4; i < length; i++) if (this[i] !== other[i]) return false;
  return true;
};

beforeEach(({ task, skip }) => {
  for (const [file, name, reason] of TESTS) {
    if (task.name.startsWith(name) && task.file.name.endsWith(file)) skip(reason);
  }
});
