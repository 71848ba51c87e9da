/**
 * Views of deleted structs: `address` is NULL, fields read undefined, writes go nowhere.
 *
 *     0                      byteLength            4 GiB - size      4 GiB
 *     ├ memory ──────────────┤                          ├ nowhere ─────┤
 *
 * A released view stands at the last addresses below 4 GiB, where every typed array of the memory ends
 * earlier: the engine's own bounds check does the work, and live views pay nothing. A memory of 4 GiB
 * leaves no such place; there the view gets the prototype of a view of an empty memory instead, which
 * takes longer. Either way the view can be moved to another struct.
 */

import { Memory } from '../memory/memory.ts';
import { type Binding, openBinding } from './binding.ts';
import type { LayoutRegistry } from './registry.ts';
import type { StructStore } from './store.ts';
import { displaced, type RowView, rowOf } from './view.ts';

/**
 * Takes a view off the struct that it shows. Releasing it twice does no harm.
 *
 * @throws TypeError when `view` is no view, or one without an address
 */
export function releaseView(view: object): void {
  if (!displaced.has(view)) releaseRow(view, rowOf(view, 'releaseView'));
}

/** As `releaseView`, of a view whose binding is known. */
export function releaseRow(view: object, binding: Binding): void {
  const { $place: place } = view as RowView;
  if (binding.nowhere !== undefined) {
    place.address = binding.nowhere;
    return;
  }
  displaced.set(view, binding);
  // For atomic cells: their operations refuse an infinite index.
  place.address = Number.POSITIVE_INFINITY;
  Object.setPrototypeOf(view, openBinding(binding.type, emptyStore()).View.prototype);
}

let empty: StructStore | undefined;

/** A store without a byte. Made when first needed: a page that is not isolated has no shared buffers. */
function emptyStore(): StructStore {
  if (empty !== undefined) return empty;
  const EmptyMemory = Memory as unknown as new (buffer: SharedArrayBuffer) => Memory;
  const layouts: Partial<LayoutRegistry> = { bound: [], shells: new Map(), home: undefined, register() {} };
  const store: Partial<StructStore> = {
    memory: new EmptyMemory(new SharedArrayBuffer(0)),
    layouts: layouts as LayoutRegistry,
  };
  empty = store as StructStore;
  return empty;
}
