/**
 * Delete: frees the block that a view shows, with what the struct owns. All is checked before anything is
 * changed: what is no view, or lies in another heap, where the same address may be somebody's block.
 */

import { InvalidFreeError } from '../errors.ts';
import { NULL } from '../memory/address.ts';
import { releaseRow } from '../structs/deleted-view.ts';
import { dropTailed } from '../structs/drop.ts';
import { rowOf } from '../structs/view.ts';
import type { Heap } from './heap.ts';
import type { Placed } from './roots.ts';

const HINT = ' (a Box or Arc has drop(), an array free(), what else has a handle destroy())';

/** See `Heap.delete`. */
export function deleteView(heap: Heap, view: Placed): void {
  const binding = rowOf(view, 'delete', HINT);
  const { type, store } = binding;
  const { address } = view;
  if (address === NULL) throw new InvalidFreeError(NULL, 'the view was deleted already');
  // Attached anew, this thread has another handle of the same heap.
  if (store !== heap && store.id !== heap.id)
    throw new InvalidFreeError(address, `it is of a ${type.name} in another heap`);
  dropTailed(heap, type.owning, address);
  heap.free(address);
  releaseRow(view, binding);
}
