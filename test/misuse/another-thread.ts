/** Another thread's handle of a heap, in this isolate: it has a slot and a cache of its own. */

import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';

export function anotherThread(of: Heap): Heap {
  attached().heaps.delete(of.id);
  try {
    return Heap.attach(of.handle);
  } finally {
    attached().heaps.set(of.id, of);
  }
}

/** Ends what {@link anotherThread} gave: the registry knows this thread's own handle only. */
export function leave(other: Heap, own: Heap): void {
  attached().heaps.set(own.id, other);
  other.detach();
  attached().heaps.set(own.id, own);
}
