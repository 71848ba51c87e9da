/**
 * Map slots: how one table of a map is probed, changed and copied. See map-layout.ts for the bytes.
 *
 *     hash & (slots - 1)  ▶ │ taken │ deleted │ taken │ free │        linear: 8 slots share a cache line
 *                             ▲ home            ▲ found   ▲ the search ends here
 *
 * A deleted slot keeps searches going; it is taken again by the next insert that passes, and becomes free
 * when the slot after it is. Where it is bound, only its own key takes it again (see map-cells.ts). `find` is
 * also called without the lock, on bytes that change or belong to somebody else by now: it looks at each slot
 * once at most, and at no address outside the memory. Everything else requires the shard's lock.
 */

import type { Memory } from '../memory/memory.ts';
import type { Keys } from './map-keys.ts';
import * as layout from './map-layout.ts';

// V8 folds the constants of a module, but loads imported ones at each use.
const { FREE, DELETED, TAKEN, BOUND, SLOT_BITS, TABLE_BITS, OPEN } = layout;

/** The tables of one map. Slots are named by the index of their first word. */
export abstract class Slots {
  protected readonly i32: Int32Array;
  protected readonly keys: Keys;
  /** Words of a slot. */
  readonly stride: number;

  constructor(memory: Memory, keys: Keys, stride: number) {
    this.i32 = memory.i32;
    this.keys = keys;
    this.stride = stride;
  }

  /** The slot that holds the encoded key, whose hash is `hash`; -1 when none does. */
  abstract find(table: number, hash: number): number;
  /** The hash of the key in a taken slot; it becomes the encoded key. */
  abstract hashAt(slot: number): number;
  /** Whether a slot that is bound to a key is bound to the encoded one. */
  protected abstract isBound(slot: number, hash: number): boolean;

  /** Where the encoded key can be put: a slot that is free, deleted, or bound to it. Requires: one is free. */
  room(table: number, hash: number): number {
    const { i32, stride } = this;
    const first = (table & ~TABLE_BITS) >>> 2;
    const last = 2 ** (table & SLOT_BITS) - 1;
    for (let at = hash & last; ; at = (at + 1) & last) {
      const slot = first + at * stride;
      const mark = i32[slot]! >>> 0;
      if (mark <= DELETED || (mark === BOUND && this.isBound(slot, hash))) return slot;
    }
  }

  /**
   * Takes the key out of a slot. The first store commits.
   *
   * @returns how many slots became free: they need not be searched through any more
   */
  erase(table: number, slot: number): number {
    const { i32, stride } = this;
    const first = (table & ~TABLE_BITS) >>> 2;
    const last = 2 ** (table & SLOT_BITS) - 1;
    let at = (slot - first) / stride;
    if ((table & OPEN) !== 0 && i32[slot] === TAKEN) {
      i32[slot] = BOUND;
      return 0;
    }
    if (i32[first + ((at + 1) & last) * stride] !== FREE) {
      i32[slot] = DELETED;
      return 0;
    }
    let freed = 0;
    do {
      i32[first + at * stride] = FREE;
      freed++;
      at = (at - 1) & last;
    } while (i32[first + at * stride] === DELETED);
    return freed;
  }

  /**
   * Copies what `from` holds to the free slots of `to`.
   *
   * @param moved called for each slot once it was copied
   * @returns how many keys that are
   */
  copy(from: number, to: number, moved?: (slot: number, target: number) => void): number {
    if (from === 0) return 0;
    const { i32, stride } = this;
    const first = (from & ~TABLE_BITS) >>> 2;
    const end = first + 2 ** (from & SLOT_BITS) * stride;
    let count = 0;
    for (let slot = first; slot < end; slot += stride) {
      if (i32[slot]! >>> 0 <= BOUND) continue;
      const target = this.room(to, this.hashAt(slot));
      this.copySlot(slot, target);
      moved?.(slot, target);
      count++;
    }
    return count;
  }

  /** The taken slots of a table. */
  taken(table: number): number[] {
    const { i32, stride } = this;
    const first = (table & ~TABLE_BITS) >>> 2;
    const end = table === 0 ? first : first + 2 ** (table & SLOT_BITS) * stride;
    const found: number[] = [];
    for (let slot = first; slot < end; slot += stride) if (i32[slot]! >>> 0 > BOUND) found.push(slot);
    return found;
  }

  /** The mark comes last: a slot that says it is taken is whole. */
  copySlot(slot: number, target: number): void {
    const { i32 } = this;
    for (let word = this.stride - 1; word >= 0; word--) i32[target + word] = i32[slot + word]!;
  }
}

/** Tables of integer keys with their values. */
export class IntegerSlots extends Slots {
  /** Words from a slot's start to the key. */
  private readonly keyAt: number;
  private readonly wide: boolean;

  constructor(memory: Memory, keys: Keys, shape: layout.Shape) {
    super(memory, keys, shape.stride);
    this.wide = shape.keyBytes === 8;
    this.keyAt = shape.entryAt >>> 2;
  }

  override find(table: number, hash: number): number {
    if (table === 0) return -1;
    const { i32, stride, keyAt, wide } = this;
    const { lo, hi } = this.keys;
    const first = (table & ~TABLE_BITS) >>> 2;
    const last = (1 << (table & SLOT_BITS)) - 1;
    let at = hash & last;
    for (let left = last; left >= 0; left--) {
      const slot = first + at * stride;
      const mark = i32[slot];
      if (mark === FREE) return -1;
      if (mark === TAKEN && i32[slot + keyAt] === lo && (!wide || i32[slot + 3] === hi)) return slot;
      at = (at + 1) & last;
    }
    return -1;
  }

  override hashAt(slot: number): number {
    return this.keys.encodeAt((slot + this.keyAt) * 4);
  }

  protected override isBound(slot: number): boolean {
    return this.keys.matches((slot + this.keyAt) * 4);
  }
}

/** Tables that hold hashes, and entries or the addresses of entries. */
export class HashedSlots extends Slots {
  /** The last address where an entry can lie. */
  private readonly limit: number;
  private readonly entryAt: number;
  private readonly headBytes: number;

  constructor(memory: Memory, keys: Keys, shape: layout.Shape) {
    super(memory, keys, shape.stride);
    this.headBytes = shape.headBytes;
    this.limit = memory.byteLength - shape.entryBytes;
    this.entryAt = shape.entryAt;
  }

  override find(table: number, hash: number): number {
    if (table === 0) return -1;
    const { i32, keys, limit, stride, entryAt, headBytes } = this;
    const first = (table & ~TABLE_BITS) >>> 2;
    const last = (1 << (table & SLOT_BITS)) - 1;
    let at = hash & last;
    for (let left = last; left >= 0; left--) {
      const slot = first + at * stride;
      const mark = i32[slot]! >>> 0;
      if (mark === FREE) return -1;
      if (i32[slot + 1] === hash && mark > BOUND) {
        const entry = mark === TAKEN ? slot * 4 + entryAt : mark + headBytes;
        if (entry <= limit && keys.matches(entry)) return slot;
      }
      at = (at + 1) & last;
    }
    return -1;
  }

  override hashAt(slot: number): number {
    return this.i32[slot + 1]!;
  }

  protected override isBound(slot: number, hash: number): boolean {
    return this.i32[slot + 1] === hash && this.keys.matches(slot * 4 + this.entryAt);
  }
}
