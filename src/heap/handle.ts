/** Handle: what of a heap crosses to another thread, and how the buffer is found in what arrived. */

/** What crosses to another thread, by `workerData` or `postMessage`: plain and cloneable. */
export interface HeapHandle {
  readonly kind: 'sabheap';
  readonly id: string;
  readonly buffer: SharedArrayBuffer;
}

/** The buffer of a handle, or the buffer itself. */
export function bufferOf(handle: HeapHandle | SharedArrayBuffer): SharedArrayBuffer {
  if (typeof handle !== 'object' || handle === null)
    throw new TypeError("attach wants another thread's heap.handle, or its buffer");
  return 'buffer' in handle ? handle.buffer : handle;
}
