/**
 * Owning cell: how a field or container takes in a block and gives it away, so that at every store somebody
 * owns each block.
 *
 *     cell │ address of the block that it owns, 0 for none │        what it owns is SHARED
 *
 * The thread notes its deed first. Should it die, whoever recovers it finds the block in the cell, or makes it
 * the dead thread's own (see sync/deed.ts).
 */

import { type Address, NULL } from '../memory/address.ts';
import { clearDeed, LINK, noteDeed, takeOut } from '../sync/deed.ts';
import type { ContainerStore } from './store.ts';

/**
 * Puts a block of this thread into a cell, in place of what is there.
 *
 * @param block 0 for none
 * @returns what was there, this thread's now: to be dropped; 0 when there was nothing
 */
export function swapOwned(home: ContainerStore, cell: number, block: Address): Address {
  if (block === NULL) return takeOut(home, cell);
  const { thread } = home;
  const { u32 } = home.memory;
  const before = u32[cell >>> 2]! as Address;
  noteDeed(thread, block, cell, LINK | before);
  home.tryShare(block);
  // Publishes: the block, which is complete. Pairs with the loads of who reads the cell.
  u32[cell >>> 2] = block;
  if (before !== NULL) home.tryAdopt(before);
  clearDeed(thread);
  return before;
}
