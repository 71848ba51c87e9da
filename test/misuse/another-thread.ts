/** Another thread's handle of a heap, in this isolate: it has a slot and a cache of its own. */

import { attached } from '../../src/heap/attached.ts';
import { Heap } from '../../src/heap/heap.ts';

export function anotherThread(of: Heap): Heap {
  attached().heaps.delete(of.id);
  const other = Heap.attach(of.handle);
  attached().heaps.set(of.id, of);
  return other;
}
