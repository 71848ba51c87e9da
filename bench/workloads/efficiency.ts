/**
 * Efficiency: how much of a heap can be used before it is full. Talc's procedure, in one thread:
 *
 *     heap of 128 MiB, 300 rounds in the same allocator; each step draws 0 … 9
 *     0 … 4   allocate U[4, cap) with cap = U[16, 10000) and align = 4 << (ctz(u16) / 2)
 *     5       free a random block
 *     6 … 9   reallocate a random block to U[1, 100000)
 *     a round ends at the first failure: used += Σ sizes asked for; then everything is freed
 *
 *     efficiency = Σ used / (300 · 128 MiB)
 *
 * The first and the last byte of every block are compared. The same seed for all subjects.
 */

import { Heap, MiB } from '../../src/index.ts';
import { type Job, type Numbers, option } from '../job.ts';
import type { AligningSubject } from '../subject.ts';
import { createSite } from '../subject-table.ts';
import { Random } from './random.ts';

const BYTES = 128 * MiB;

interface Block {
  address: number;
  size: number;
  readonly align: number;
  readonly tag: number;
}

/** `percent` of the heap that was used, and `ns` a step. */
export function measureEfficiency(job: Job): Numbers {
  const rounds = option(job, 'rounds', 300);
  const { aligning, buffer, verify } = createSite(job.subject, BYTES);
  if (aligning === undefined) throw new Error('it takes no alignments');
  const u8 = new Uint8Array(buffer);
  const random = new Random(option(job, 'seed', 4141));
  let used = 0;
  let steps = 0;
  const began = performance.now();
  for (let round = 0; round < rounds; round++) {
    const blocks: Block[] = [];
    while (step(aligning, u8, blocks, random)) steps++;
    used += blocks.reduce((sum, { size }) => sum + size, 0);
    for (const block of blocks) release(aligning, u8, block);
  }
  const ns = ((performance.now() - began) * 1e6) / steps;
  verify?.();
  return { percent: (100 * used) / (rounds * BYTES), ns, steps };
}

/** Returns whether there was room. */
function step(subject: AligningSubject, u8: Uint8Array, blocks: Block[], random: Random): boolean {
  const draw = random.below(10);
  if (draw < 5) {
    const cap = 16 + random.below(10_000 - 16);
    const align = 4 << (trailingZeros(random.below(65_536)) >>> 1);
    const size = 4 + random.below(cap - 4);
    const address = subject.allocAligned(size, align);
    if (address === 0) return false;
    if (address % align !== 0) throw new Error(`wrong: ${address} is not aligned to ${align}`);
    blocks.push(write(u8, { address, size, align, tag: random.below(256) }));
    return true;
  }
  if (blocks.length === 0) return true;
  const index = random.below(blocks.length);
  const block = blocks[index]!;
  if (draw === 5) {
    release(subject, u8, block);
    blocks[index] = blocks.at(-1)!;
    blocks.pop();
    return true;
  }
  return resize(subject, u8, block, 1 + random.below(99_999));
}

function resize(subject: AligningSubject, u8: Uint8Array, block: Block, size: number): boolean {
  check(u8, block);
  const address = subject.realloc(block.address, size, block.align);
  if (address === 0) return false;
  if (address % block.align !== 0) throw new Error(`wrong: ${address} is not aligned to ${block.align}`);
  const kept = Math.min(size, block.size) - 1;
  if (u8[address] !== block.tag || (kept < size - 1 && u8[address + kept] !== block.tag))
    throw new Error(`wrong contents at ${address}`);
  block.address = address;
  block.size = size;
  write(u8, block);
  return true;
}

function write(u8: Uint8Array, block: Block): Block {
  u8[block.address] = block.tag;
  u8[block.address + block.size - 1] = block.tag;
  return block;
}

function check(u8: Uint8Array, { address, size, tag }: Block): void {
  if (u8[address] !== tag || u8[address + size - 1] !== tag) throw new Error(`wrong contents at ${address}`);
}

function release(subject: AligningSubject, u8: Uint8Array, block: Block): void {
  check(u8, block);
  subject.free(block.address);
}

/** Of 16 bits; 16 for 0. */
function trailingZeros(bits: number): number {
  return bits === 0 ? 16 : 31 - Math.clz32(bits & -bits);
}

/** `bytes` between what one block can hold and where the next block starts. */
export function measureMetadata(): Numbers {
  const heap = Heap.create({ byteLength: 4 * MiB });
  for (let i = 0; i < 1000; i++) heap.alloc(64);
  let least = Number.POSITIVE_INFINITY;
  let end = 0;
  for (const { address, size } of heap.blocks()) {
    if (end !== 0) least = Math.min(least, address - end);
    end = address + size;
  }
  return { bytes: least };
}
