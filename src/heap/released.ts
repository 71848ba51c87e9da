/** Released: what stands in for what was given up, and how a thread ends. */

import { SabheapError } from '../errors.ts';

/** An object of any type, each use of which throws what `error` makes: so no use needs a check. */
export function refusing<T extends object>(error: () => Error): T {
  return new Proxy({} as T, {
    get(): never {
      throw error();
    },
    // `instanceof` asks for it.
    getPrototypeOf(): never {
      throw error();
    },
  });
}

/** What a thread does when it ends, with nobody there to be told: what it cannot give back is left to `reap`. */
export function quietly(leave: () => void): void {
  try {
    leave();
  } catch (error) {
    if (!(error instanceof SabheapError)) throw error;
  }
}
