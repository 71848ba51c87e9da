/**
 * Kinds: which class reads which control block. The one place that knows all algorithms, for wrappers
 * that adopt an allocator without being told what it is.
 */

import { AttachError, hex } from '../errors.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import type { Algorithm, RegionOptions } from './algorithm.ts';
import { BuddyAllocator } from './buddy.ts';
import { BumpAllocator } from './bump.ts';
import { Checked } from './checked.ts';
import {
  KIND_BUDDY,
  KIND_BUMP,
  KIND_CHECKED,
  KIND_HYBRID,
  KIND_LINKED_LIST,
  KIND_POOL,
  KIND_TLSF,
  kindAt,
} from './control.ts';
import { HybridAllocator } from './hybrid.ts';
import { LinkedListAllocator } from './linked-list.ts';
import { PoolAllocator } from './pool.ts';
import { TlsfAllocator } from './tlsf.ts';

/** An algorithm's class, as wrappers take it. */
export interface AlgorithmClass<A extends Algorithm = Algorithm, O extends RegionOptions = RegionOptions> {
  create(memory: Memory, options: O): A;
  attach(memory: Memory, start: number, thread?: Thread, linkKey?: number): A;
}

/**
 * Adopts the algorithm at `start`, whichever it is.
 *
 * @param linkKey what it was made with: see `RegionOptions`
 * @throws AttachError when none starts there
 */
export function attachAlgorithm(memory: Memory, start: number, thread?: Thread, linkKey?: number): Algorithm {
  const kind = kindAt(memory, start);
  switch (kind) {
    case KIND_BUMP:
      return BumpAllocator.attach(memory, start, thread);
    case KIND_LINKED_LIST:
      return LinkedListAllocator.attach(memory, start, thread, linkKey);
    case KIND_BUDDY:
      return BuddyAllocator.attach(memory, start, thread, linkKey);
    case KIND_POOL:
      return PoolAllocator.attach(memory, start, thread, linkKey);
    case KIND_TLSF:
      return TlsfAllocator.attach(memory, start, thread, linkKey);
    case KIND_HYBRID:
      return HybridAllocator.attach(memory, start, thread, linkKey);
    case KIND_CHECKED:
      return Checked.attach(memory, start, thread);
    default:
      throw new AttachError(`the allocator at ${hex(start)} is a wrapper, which no wrapper takes`);
  }
}
