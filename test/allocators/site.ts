/**
 * Site: a region of shared bytes to build an allocator on, with guards around it. It starts dirty, as
 * recycled memory does, and tells whether anything outside of it was written.
 *
 *      ┌ guard ─┬ region ──────────────────────┬ room to extend ─┬ guard ─┐
 *      │ 0xc3…  │ noise                        │ noise           │ 0xc3…  │
 *      └────────┴──────────────────────────────┴─────────────────┴────────┘
 *               ▲ start
 */

import { expect } from 'vitest';
import type { Address } from '../../src/memory/address.ts';
import { KiB } from '../../src/memory/address.ts';
import type { Memory } from '../../src/memory/memory.ts';
import type { Extensible, Subject } from './subjects.ts';

const GUARD_BYTES = 64;
const GUARD = 0xc3;

export const REGION_BYTES = 128 * KiB;
export const ROOM_TO_EXTEND = 16 * KiB;
/** What a site takes of its memory, without the guards. */
export const SITE_BYTES = REGION_BYTES + ROOM_TO_EXTEND;

const noise = new Uint8Array(SITE_BYTES);
for (let i = 0, seed = 0x9e3779b9; i < noise.length; i++) {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
  noise[i] = seed >>> 24;
}

/** Bytes of two payloads with different seeds differ almost everywhere. */
function stampByte(seed: number, offset: number): number {
  return (Math.imul(seed + 1, 0x9e3779b1) >>> 24) ^ (offset * 31 + (offset >>> 8));
}

export class Site {
  readonly memory: Memory;
  readonly start: number;
  /** Set by who extends the allocator into the room above the region. */
  extended = false;

  constructor(memory: Memory, start: number) {
    this.memory = memory;
    this.start = start;
  }

  /** Dirties the region and its guards, and lays out an allocator. */
  create(subject: Subject): ReturnType<Subject['create']> & Extensible {
    const { u8 } = this.memory;
    u8.fill(GUARD, Math.max(0, this.start - GUARD_BYTES), this.start);
    u8.set(noise, this.start);
    // What noise says of who holds a block, a cache believes: it looks at no more than that.
    if (subject.caches) u8.fill(0, this.start, this.start + REGION_BYTES);
    u8.fill(GUARD, this.start + SITE_BYTES, this.start + SITE_BYTES + GUARD_BYTES);
    this.extended = false;
    return subject.create(this.memory, this.start, REGION_BYTES);
  }

  /** The region's bytes, but for those that a refused call may change. */
  snapshot(subject: Subject): Buffer {
    const bytes = this.memory.u8.subarray(this.start + subject.counterBytes, this.start + REGION_BYTES);
    return Buffer.from(bytes);
  }

  expectUnchanged(subject: Subject, before: Buffer): void {
    const now = this.snapshot(subject);
    if (before.equals(now)) return;
    const at = before.findIndex((byte, i) => byte !== now[i]);
    expect.fail(`the byte at ${subject.counterBytes + at} of the region was changed`);
  }

  expectGuardsWhole(): void {
    const { u8 } = this.memory;
    const end = this.start + SITE_BYTES;
    const below = u8.subarray(Math.max(0, this.start - GUARD_BYTES), this.start);
    const above = u8.subarray(end, end + GUARD_BYTES);
    expect(
      [...below, ...above].every((byte) => byte === GUARD),
      'bytes outside the region were written',
    ).toBe(true);
    if (this.extended) return;
    const room = Buffer.from(u8.subarray(this.start + REGION_BYTES, end));
    expect(room.equals(noise.subarray(REGION_BYTES)), 'bytes above the region were written').toBe(true);
  }

  /** Fills a payload with bytes that its seed alone makes. */
  stamp(address: Address, size: number, seed: number): void {
    const { u8 } = this.memory;
    for (let i = 0; i < size; i++) u8[address + i] = stampByte(seed, i);
  }

  /** The offset of the first byte that is not as stamped, or -1. */
  firstUnstamped(address: Address, size: number, seed: number): number {
    const { u8 } = this.memory;
    for (let i = 0; i < size; i++) if (u8[address + i] !== (stampByte(seed, i) & 0xff)) return i;
    return -1;
  }

  expectStamped(address: Address, size: number, seed: number): void {
    expect(this.firstUnstamped(address, size, seed), `payload at ${address} was overwritten`).toBe(-1);
  }
}
