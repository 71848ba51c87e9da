/**
 * Rendezvous: where the threads of a test meet, and words that they hand to each other. It stands on
 * `Atomics` alone, not on the library, so that the tests of locks do not lean on locks.
 *
 *      ┌ arrived ┬ round ┬ words, one for each slot …
 *      └─────────┴───────┴──────────────────────────
 */

const ARRIVED = 0;
const ROUND = 1;
const FIRST_SLOT = 2;
/** Looks at the round before sleeping: parties that run at the same time leave at the same time. */
const SPINS = 2000;

export class Rendezvous {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #parties: number;

  constructor(parties: number, slots: number | SharedArrayBuffer = 0) {
    this.buffer = typeof slots === 'number' ? new SharedArrayBuffer((FIRST_SLOT + slots) * 4) : slots;
    this.#words = new Int32Array(this.buffer);
    this.#parties = parties;
  }

  /** How many slots there are. */
  get slots(): number {
    return this.#words.length - FIRST_SLOT;
  }

  /** Returns when all parties have called it. */
  meet(): void {
    const words = this.#words;
    const round = Atomics.load(words, ROUND);
    if (Atomics.add(words, ARRIVED, 1) + 1 === this.#parties) {
      Atomics.store(words, ARRIVED, 0);
      Atomics.add(words, ROUND, 1);
      Atomics.notify(words, ROUND);
      return;
    }
    for (let spin = 0; spin < SPINS; spin++) if (Atomics.load(words, ROUND) !== round) return;
    while (Atomics.load(words, ROUND) === round) Atomics.wait(words, ROUND, round, 1000);
  }

  load(slot: number): number {
    return Atomics.load(this.#words, FIRST_SLOT + slot);
  }

  store(slot: number, value: number): void {
    Atomics.store(this.#words, FIRST_SLOT + slot, value);
  }

  /** Stores into a slot and wakes who waits for it. */
  announce(slot: number, value: number): void {
    this.store(slot, value);
    Atomics.notify(this.#words, FIRST_SLOT + slot);
  }

  /** Sleeps until a slot holds `value`. */
  await(slot: number, value: number): void {
    for (let seen = this.load(slot); seen !== value; seen = this.load(slot)) {
      Atomics.wait(this.#words, FIRST_SLOT + slot, seen, 1000);
    }
  }

  /** Sleeps for so many milliseconds. */
  pause(ms: number): void {
    Atomics.wait(this.#words, ARRIVED, Atomics.load(this.#words, ARRIVED), ms);
  }

  /** Puts a value into a slot and takes out what was there. */
  exchange(slot: number, value: number): number {
    return Atomics.exchange(this.#words, FIRST_SLOT + slot, value);
  }

  /** Adds to a slot. Returns what it held before. */
  add(slot: number, value: number): number {
    return Atomics.add(this.#words, FIRST_SLOT + slot, value);
  }
}
