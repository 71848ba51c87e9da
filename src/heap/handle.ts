/** Handle: what of a heap crosses to another thread, and how the buffer is found in what arrived. */

import { show } from '../errors.ts';

/** What crosses to another thread, by `workerData` or `postMessage`: plain and cloneable. */
export interface HeapHandle {
  readonly kind: 'sabheap';
  readonly id: string;
  readonly buffer: SharedArrayBuffer;
}

/** Refuses to be cloned with the heap, and says why: see structs/place.ts. */
export const GUARD: symbol = Symbol('a sabheap heap: post heap.handle instead');

/** The buffer of a handle, or the buffer itself. */
export function bufferOf(handle: HeapHandle | SharedArrayBuffer): SharedArrayBuffer {
  if (typeof handle !== 'object' || handle === null)
    throw new TypeError(`attach wants another thread's heap.handle, or its buffer; got ${show(handle)}`);
  // The handle of a container names its heap by the id.
  if ('heap' in handle && typeof handle.heap === 'object')
    throw new TypeError('attach wants the handle itself, not what it came in: Heap.attach(workerData.heap)');
  if (!('kind' in handle || 'buffer' in handle)) return handle;
  const { buffer } = handle as HeapHandle;
  if (Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]') return buffer;
  throw new TypeError(
    `the handle of a heap holds its SharedArrayBuffer, this one ${show(buffer)}: ` +
      'it crosses by workerData or postMessage, not as JSON',
  );
}
