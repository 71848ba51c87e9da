/** Mutants: workers that do what must not be done. A run with one of them has to end with a difference. */

import { NULL, toAddress } from '../../../src/index.ts';
import type { Hand, Part, Scenario } from '../scenario.ts';

/** Once in so many steps. */
const SELDOM = 20;

function mutant(misdeed: (hand: Hand) => void): Scenario {
  return {
    create: () => ({}),
    join(hand): Part {
      let steps = 0;
      return {
        step() {
          if (++steps % SELDOM === 0) misdeed(hand);
        },
        leave: () => {},
      };
    },
    finish: () => {},
  };
}

/** Keeps a block for ever. */
export const loses = mutant(({ heap }) => heap.share(heap.alloc(24)));

/** Writes behind the end of its block, over the header, into what lies there. */
export const overwrites = mutant(({ heap }) => {
  const address = heap.alloc(64);
  if (address === NULL) return;
  const { u32: words } = heap.memory;
  const behind = (toAddress(address) + heap.sizeOf(address)) / 4 + 3;
  if (behind < words.length) words[behind]! ^= 1;
  heap.free(address);
});

/** Ends without having been told to. */
export const crashes = mutant(() => {
  throw new Error('a mutant');
});

/** Does nothing any more. */
export const hangs = mutant(() => {
  for (;;);
});
