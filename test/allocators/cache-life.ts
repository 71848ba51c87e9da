/**
 * Cache life: three threads over one cached allocator, all in this one, and the first two of them may be
 * killed at any store. A life is made by its seed alone, so that it can be lived again up to another death.
 *
 *      ┌ thread slots ─────────────┬ lists, lock, algorithm ────────────────┐
 *      │ victim │ heir │ sleeper   │                                        │
 *      └────────┴──────┴───────────┴────────────────────────────────────────┘
 *
 * The victim dies, the heir recovers, and may die at that too; the sleeper (at rest, so that others may drain
 * it) wakes up later.
 */

import { expect } from 'vitest';
import type { Algorithm } from '../../src/allocators/algorithm.ts';
import type { AlgorithmClass } from '../../src/allocators/kinds.ts';
import { ownerBits } from '../../src/allocators/ownership.ts';
import { ThreadCached } from '../../src/allocators/thread-cached.ts';
import { ThreadSlots } from '../../src/heap/slots.ts';
import { type Address, KiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import type { Thread } from '../../src/sync/thread.ts';
import { randomFrom } from '../random.ts';
import { Fuse, Killed, killable } from './killable.ts';

const SLOTS_AT = 128;
const START = 1 * KiB;
const BYTES = 96 * KiB;
const MORE_THAN_CACHED = 40;

export interface Member {
  readonly slots: ThreadSlots;
  readonly thread: Thread;
  readonly cache: ThreadCached;
  readonly fuse: Fuse;
}

interface Held {
  readonly size: number;
  readonly stamp: number;
  readonly holder: Member;
}

export class CacheLife {
  readonly memory = Memory.create(BYTES);
  readonly victim: Member;
  readonly heir: Member;
  readonly sleeper: Member;
  readonly held = new Map<Address, Held>();
  readonly #random: () => number;
  readonly #whole: object;
  /** What the victim was about to give back or move. */
  #uncertain: Address = NULL;
  #stamps = 0;

  // biome-ignore lint/suspicious/noExplicitAny: any algorithm with any options
  constructor(allocator: AlgorithmClass<Algorithm, any>, options: object, seed: number) {
    this.#random = randomFrom(seed);
    const fuse = new Fuse();
    const memory = killable(this.memory.buffer, fuse);
    const slots = new ThreadSlots(memory, SLOTS_AT, 3);
    const thread = slots.take();
    const cache = ThreadCached.create(memory, { start: START, allocator, options, thread, peers: slots });
    this.victim = { slots, thread, cache, fuse };
    this.heir = this.#attach(true);
    this.sleeper = this.#attach(false);
    this.#whole = this.figures();
    const members = [this.victim, this.heir, this.sleeper];
    const steps = 30 + this.upTo(120);
    for (let i = 0; i < steps; i++) this.step(members[this.upTo(3)]!);
    // Something lies in every cache, and on the list between them.
    for (const member of members) this.comeAndGo(member);
    this.sleeper.cache.publish();
    this.sleeper.slots.rest(this.sleeper.thread);
  }

  #attach(isMortal: boolean): Member {
    const fuse = new Fuse();
    const memory = isMortal ? killable(this.memory.buffer, fuse) : this.memory;
    const slots = new ThreadSlots(memory, SLOTS_AT, 3);
    const thread = slots.take();
    const cache = ThreadCached.attach(memory, START, thread, undefined, slots);
    return { slots, thread, cache, fuse };
  }

  upTo(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** More blocks of a class come and go, out of their order, than a cache holds: the list takes some. */
  comeAndGo(member: Member): void {
    const before = new Set(this.held.keys());
    for (let i = 0; i < MORE_THAN_CACHED; i++) this.alloc(member, 32);
    const came = [...this.held.keys()].filter((address) => !before.has(address));
    for (const half of [0, 1]) {
      for (const [i, address] of came.entries()) if (i % 2 === half) this.free(member, address);
    }
  }

  /** One random thing that a thread does. */
  step(member: Member): void {
    const kind = this.#random();
    if (kind < 0.55) this.alloc(member, this.#size());
    else if (kind < 0.9) this.free(member, this.pick());
    else if (kind < 0.97) this.realloc(member, this.pick(), this.#size());
    else member.cache.flush();
  }

  #size(): number {
    const kind = this.#random();
    // Few classes, so that their caches fill and their lists have blocks.
    return kind < 0.7 ? 16 * (1 + this.upTo(3)) : kind < 0.95 ? this.upTo(700) : this.upTo(6000);
  }

  pick(): Address {
    const all = [...this.held.keys()];
    return all.length === 0 ? NULL : all[this.upTo(all.length)]!;
  }

  alloc(member: Member, size: number): boolean {
    const address = member.cache.alloc(size);
    if (address === NULL) return false;
    this.#note(member, address, size);
    return true;
  }

  free(member: Member, address: Address): void {
    if (address === NULL) return;
    this.#uncertain = address;
    member.cache.free(address);
    this.#uncertain = NULL;
    this.held.delete(address);
  }

  realloc(member: Member, address: Address, size: number): void {
    if (address === NULL) return;
    const before = this.held.get(address)!;
    this.#uncertain = address;
    const moved = member.cache.realloc(address, size);
    this.#uncertain = NULL;
    if (moved === NULL) return;
    this.held.delete(address);
    this.#note(moved === address ? before.holder : member, moved, size);
  }

  #note(holder: Member, address: Address, size: number): void {
    expect(this.held.has(address), `the block at ${address} was handed out twice`).toBe(false);
    const stamp = ++this.#stamps;
    this.held.set(address, { size, stamp, holder });
    const { u8 } = this.memory;
    for (let i = 0; i < size; i++) u8[address + i] = stamp * 31 + i;
  }

  /** Kills a thread at the `limit`-th store of `act`, or behind it, and lets all know. Returns how many it made. */
  die(member: Member, limit: number, act: (life: CacheLife) => void): number {
    const { fuse } = member;
    fuse.arm(limit);
    try {
      act(this);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    const { stores } = fuse;
    fuse.arm(0);
    const { slot, generation } = member.thread;
    new ThreadSlots(this.memory, SLOTS_AT, 3).markDead(slot, generation);
    return stores;
  }

  // ── What the living do ──────────────────────────────────────────────────────────────────────────

  /** Takes back what a dead thread had, as `heap.reap()` has it. Returns the blocks that are the reaper's now. */
  reap(by: Member, dead: Member, reclaim: boolean): readonly Address[] {
    const { slot, generation } = dead.thread;
    const { owned } = by.cache.reclaimOf(
      ownerBits(slot, generation),
      reclaim ? 'become mine' : 'become orphans',
    );
    return reclaim ? owned : [];
  }

  /** Checks what is left when the dead are reaped. `reaped` are blocks of theirs that are somebody else's now. */
  expectReaped(by: Member, dead: readonly Member[], reaped: readonly Address[]): void {
    by.cache.verify();
    this.held.delete(this.#uncertain);
    const found = new Map([...by.cache.blocks()].map((block) => [block.address, block]));
    const slots = dead.map(({ thread }) => thread.slot);
    for (const { address, state, owner } of found.values()) {
      if (state === 'hand' || state === 'live') expect(slots, `owner of ${address}`).not.toContain(owner);
    }
    for (const [address, held] of this.held) {
      const isOrphan = dead.includes(held.holder) && !reaped.includes(address);
      const state = found.get(address)?.state;
      expect(state, `the block at ${address}`).toMatch(isOrphan ? /^orphan$/ : /^(live|orphan)$/);
      this.#expectStamped(address, held);
    }
    for (const address of reaped) {
      by.cache.free(address);
      this.held.delete(address);
    }
  }

  #expectStamped(address: Address, { size, stamp }: Held): void {
    const { u8 } = this.memory;
    for (let i = 0; i < size; i++) {
      if (u8[address + i] === ((stamp * 31 + i) & 0xff)) continue;
      expect.fail(`byte ${i} of the block at ${address} was overwritten`);
    }
  }

  /** The sleeper wakes up, as `heap.resume()` has it. */
  wake(): void {
    const { slots, thread, cache } = this.sleeper;
    if (slots.resume(thread)) return;
    cache.inner.acquire();
    cache.inner.lock.release();
    cache.discard(slots.isDrained(thread));
    slots.resumeDrained(thread);
  }

  /** Life goes on. */
  goOn(members: readonly Member[]): void {
    for (let i = 0; i < 30; i++) this.step(members[i % members.length]!);
    for (const member of members) member.cache.verify();
  }

  /** All is freed and flushed: the allocator is what it was at first. */
  expectWhole(living: readonly Member[]): void {
    const { cache } = this.sleeper;
    for (const member of living) member.cache.flush();
    for (const { address, state } of [...cache.blocks()]) {
      expect(state, `the block at ${address}`).toMatch(/^(free|live|orphan)$/);
      if (state !== 'free') cache.free(address);
    }
    cache.flush();
    expect(this.figures()).toEqual(this.#whole);
    cache.verify();
  }

  figures(): object {
    const { used, free, largestFree, cached, capacity, liveBlocks } = this.sleeper.cache.stats();
    return { used, free, largestFree, cached, capacity, liveBlocks };
  }
}
