/**
 * Chance that can be had again: SEED=123 in the environment makes every test that draws at random start there.
 */

/** Where this run starts: SEED, or another one in each run. A test that uses it tells it when it fails. */
export const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 30));

/** Numbers from 0 to 1, 1 excluded, the same ones for a seed. Source: mulberry32, T. Ettinger. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
