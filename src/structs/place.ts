/**
 * Place: where a view stands. Every view of whatever struct holds one, all of one shape, so that code
 * that moves views of many types (`array.at(i, into)`) stays monomorphic: it keeps the place of the
 * view that it moved last and never touches the view itself.
 *
 *     view ──► place ──► address ──► shared bytes
 *                └─────► guard       a symbol: structured clone throws DataCloneError on it
 */

/** Refuses to be cloned, and says why: runtimes put its description in the DataCloneError. */
export const GUARD: symbol = Symbol('a sabheap view: post an address or a handle instead');

/** Node's key for a custom inspection; Bun and Deno know it too. */
export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** What Node hands to a custom inspection as its third argument. */
export type Inspector = (value: unknown, options?: object) => string;

/** The byte address where a view stands. */
export class Place {
  // `declare`: the constructor's stores make the properties, without a definition of `undefined` before.
  declare address: number;
  declare readonly guard: symbol;

  constructor(address: number) {
    this.address = address;
    this.guard = GUARD;
  }
}
