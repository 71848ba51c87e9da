/**
 * Sweep: one walk over all blocks that takes back what some threads had: they are idle, have left or are dead.
 *
 *     HAND(owner), QUARANTINE(owner)   go back to the allocator
 *     LIVE(owner)                      stay as they are, become nobody's or the sweeper's
 *     FLIGHT, SHARED, TRANSFER         stay: on their way, anybody's, on a transfer list
 *
 * The blocks that go back are in the sweeper's hands before the first is freed, since a free may merge a block
 * with one that the walk has not reached. Whoever dies in a sweep leaves blocks in hands, its own or the
 * first owner's: the sweep after it finds both. Linear in the number of blocks.
 */

import { type Address, NULL } from '../memory/address.ts';
import { compareExchange } from '../memory/atomics.ts';
import type { Algorithm } from './algorithm.ts';
import {
  HAND,
  handWord,
  LIVE,
  ORPHAN,
  ownedWord,
  ownerOf,
  QUARANTINE,
  stateOf,
  unownedWord,
} from './ownership.ts';

/** What a sweep found of its owners. Sizes are usable bytes. */
export interface Swept {
  /** Blocks in hands, which went back to the allocator. */
  readonly returnedBlocks: number;
  readonly returnedBytes: number;
  /** The live blocks, in address order. Empty when they were left alone. */
  readonly owned: readonly Address[];
  readonly ownedBytes: number;
}

/** What becomes of LIVE blocks. */
export type LiveBlocks = 'stay' | 'become orphans' | 'become mine';

/**
 * Sweeps up after the threads that `owners` names by the slot and generation bits of their words. Requires:
 * allocator lock held.
 */
export function sweep(core: Algorithm, owners: readonly number[], live: LiveBlocks): Swept {
  const { i32 } = core.memory;
  const returned: Address[] = [];
  const owned: Address[] = [];
  let returnedBytes = 0;
  let ownedBytes = 0;
  for (let address = core.firstBlock(); address !== NULL; address = core.blockAfter(address)) {
    const index = core.ownershipIndexAt(address);
    const word = i32[index]!;
    if (!owners.includes(ownerOf(word)) || core.isFree(address)) continue;
    const state = stateOf(word);
    if (state === HAND || state === QUARANTINE) {
      i32[index] = handWord(word, core.owner);
      returned.push(address);
      returnedBytes += core.usableSize(address);
    } else if (state === LIVE && live !== 'stay') {
      const next = live === 'become mine' ? ownedWord(word, LIVE, core.owner) : unownedWord(word, ORPHAN);
      // Another thread may be freeing it: its HAND must not be overwritten.
      if (compareExchange(i32, index, word, next) !== word) continue;
      owned.push(address);
      ownedBytes += core.usableSize(address);
    }
  }
  for (const address of returned) core.release(address);
  return { returnedBlocks: returned.length, returnedBytes, owned, ownedBytes };
}
