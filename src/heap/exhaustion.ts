/**
 * Exhaustion: what is tried before a request is answered with `NULL`.
 *
 *     no room ─▶ drain dead threads ─▶ room? ─▶ handlers, the first that answers true ─▶ room? ─▶ … ─▶ NULL
 *
 * Handlers are one thread's own. They run with no lock held, and may allocate: requests that they make
 * themselves go without handlers.
 */

import { type Address, NULL } from '../memory/address.ts';

const MOST_RETRIES = 64;

/** What was asked for when there was no room. */
export interface Layout {
  /** Bytes. */
  readonly size: number;
  /** Power of two. */
  readonly align: number;
}

/** Frees, claims or gives up: `true` has the request tried again. */
export type ExhaustedHandler = (layout: Layout) => boolean | undefined;

/** One thread's handlers. */
export class Exhaustion {
  readonly #handlers: ExhaustedHandler[] = [];
  readonly #drain: () => boolean;
  #handling = false;

  /** @param drain takes back what lay in the caches of dead threads; returns whether there was anything */
  constructor(drain: () => boolean) {
    this.#drain = drain;
  }

  /** Adds a handler. Returns a function that removes it. */
  add(handler: ExhaustedHandler): () => void {
    if (typeof handler !== 'function') throw new TypeError('onExhausted wants a function');
    const handlers = this.#handlers;
    handlers.push(handler);
    return () => {
      const index = handlers.indexOf(handler);
      if (index >= 0) handlers.splice(index, 1);
    };
  }

  /** Makes room and tries a request again, as long as a handler says so; 64 times at most. */
  retry(layout: Layout, again: () => Address): Address {
    if (this.#handling) return NULL;
    this.#handling = true;
    try {
      let address = this.#drain() ? again() : NULL;
      for (let tries = 0; address === NULL && tries < MOST_RETRIES; tries++) {
        // A copy: a handler may remove itself.
        if (![...this.#handlers].some((handler) => handler(layout) === true)) return NULL;
        address = again();
      }
      return address;
    } finally {
      this.#handling = false;
    }
  }
}
