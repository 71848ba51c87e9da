/** A task that attaches to its pool's heap only when it runs. */

import { currentHeap } from '../../src/threads/piscina.ts';

/** The slot that this thread has taken. */
export default function attach(): number {
  return currentHeap().threadSlot;
}
