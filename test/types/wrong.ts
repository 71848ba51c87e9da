/** Deliberately wrong, kept out of the normal check: `wrong.test.ts` shows that each claim below fails. */

import { type Address, toAddress } from '../../src/memory/address.ts';
import type { Equal, Expect } from './expect.ts';

export type AddressIsNoPlainNumber = Expect<Equal<Address, number>>;

// @ts-expect-error: nothing is wrong with the next line, so the directive is.
toAddress(8);

export const unbranded: Address = 8;
