/**
 * Deaths around the caches: a thread is killed at the stores of all that a cached allocator does, lock words
 * and the recovery of another included. Then whoever is left reaps it, goes on, frees all, and has all.
 */

import { describe, expect, test, vi } from 'vitest';
import { BuddyAllocator } from '../../src/allocators/buddy.ts';
import { drainIdle } from '../../src/allocators/cached-blocks.ts';
import { LinkedListAllocator } from '../../src/allocators/linked-list.ts';
import { TlsfAllocator } from '../../src/allocators/tlsf.ts';
import { NULL } from '../../src/memory/address.ts';
import { randomFrom, SEED } from '../random.ts';
import { CacheLife } from './cache-life.ts';

vi.mock('../../src/memory/atomics.ts', async (original) => {
  const { killableAtomics } = await import('./killable.ts');
  return killableAtomics(await original());
});

const SEEDS = Number(process.env.SEEDS ?? 1);
/** Deaths that each thing to do is tried with, spread over all of its stores. */
const DEATHS = Number(process.env.DEATHS ?? 24);

const algorithms = [
  { name: 'TLSF', allocator: TlsfAllocator, options: {} },
  { name: 'linked list', allocator: LinkedListAllocator, options: {} },
  { name: 'buddy', allocator: BuddyAllocator, options: { minBlock: 16 } },
];

/** What the victim may be at. */
const acts: Record<string, (life: CacheLife) => void> = {
  'allocate, until a refill': (life) => {
    for (let i = 0; i < 40; i++) life.alloc(life.victim, 32);
  },
  'free, until a flush': (life) => {
    for (const address of [...life.held.keys()].slice(0, 60)) life.free(life.victim, address);
  },
  'exchange with the list': (life) => life.comeAndGo(life.victim),
  'take back the cache of who rests': ({ victim }) => drainIdle(victim.cache.inner, victim.slots),
  'allocate and free what no cache takes': (life) => {
    life.alloc(life.victim, 5000);
    life.free(life.victim, [...life.held.keys()].at(-1) ?? NULL);
  },
  'change sizes': (life) => {
    for (let i = 0; i < 6; i++) life.realloc(life.victim, life.pick(), life.upTo(900));
  },
  flush: (life) => life.victim.cache.flush(),
  'use up all room, and drain who rests': (life) => {
    while (life.alloc(life.victim, 1500));
    while (life.alloc(life.victim, 200));
  },
  leave: (life) => life.victim.cache.leave(),
  'a bit of everything': (life) => {
    for (let i = 0; i < 60; i++) life.step(life.victim);
  },
};

/** The numbers of stores to die at: all of them, or so many at random. */
function limitsOf(stores: number, random: () => number): number[] {
  if (stores <= DEATHS) return Array.from({ length: stores + 1 }, (_, i) => i);
  return Array.from({ length: DEATHS }, () => Math.floor(random() * stores));
}

type Make = () => CacheLife;

function dieIn(act: (life: CacheLife) => void, make: Make, random: () => number): number {
  const first = make();
  const stores = first.die(first.victim, Number.POSITIVE_INFINITY, act);
  const limits = limitsOf(stores, random);
  for (const limit of limits) {
    const life = make();
    const { victim, heir, sleeper } = life;
    try {
      life.die(victim, limit, act);
      const reaped = life.reap(heir, victim, random() < 0.5);
      life.expectReaped(heir, [victim], reaped);
      life.wake();
      life.goOn([heir, sleeper]);
      life.expectWhole([heir, sleeper]);
    } catch (error) {
      throw new Error(`killed at store ${limit} of ${stores}`, { cause: error });
    }
  }
  return limits.length;
}

/** The victim dies somewhere, the heir at each store of reaping it; the sleeper reaps both. */
function dieInReaping(act: (life: CacheLife) => void, make: Make, random: () => number): number {
  const whole = make();
  const limit = Math.floor(random() * whole.die(whole.victim, Number.POSITIVE_INFINITY, act));
  const reclaim = random() < 0.5;
  const reap = (life: CacheLife): void => void life.reap(life.heir, life.victim, reclaim);
  const first = make();
  first.die(first.victim, limit, act);
  const stores = first.die(first.heir, Number.POSITIVE_INFINITY, reap);
  const limits = limitsOf(stores, random);
  for (const second of limits) {
    const life = make();
    const { victim, heir, sleeper } = life;
    try {
      life.die(victim, limit, act);
      life.die(heir, second, reap);
      life.wake();
      const reaped = [...life.reap(sleeper, heir, reclaim), ...life.reap(sleeper, victim, reclaim)];
      life.expectReaped(sleeper, [victim, heir], reaped);
      life.goOn([sleeper]);
      life.expectWhole([sleeper]);
    } catch (error) {
      throw new Error(`killed at store ${limit}, who reaps it at store ${second} of ${stores}`, {
        cause: error,
      });
    }
  }
  return limits.length;
}

describe.each(algorithms)('behind caches: $name', ({ allocator, options }) => {
  const each = (die: typeof dieIn, act: (life: CacheLife) => void): void => {
    let deaths = 0;
    for (let seed = SEED; seed < SEED + SEEDS; seed++) {
      const make = (): CacheLife => new CacheLife(allocator, options, seed);
      try {
        deaths += die(act, make, randomFrom(seed));
      } catch (error) {
        throw new Error(`SEED=${seed}`, { cause: error });
      }
    }
    expect(deaths).toBeGreaterThan(SEEDS);
  };

  test.each(Object.entries(acts))('dies at: %s', (_, act) => each(dieIn, act));

  test.each(Object.entries(acts))('who reaps it dies too: %s', (_, act) => each(dieInReaping, act));
});
