/**
 * Hybrid: a bump allocator for what dies together, any other algorithm for what stays.
 *
 *      start      temporary                     permanent                     end
 *      ├─────────┼─────────────────────────────┼─────────────────────────────┤
 *      │ control │ bump                        │ linked list, buddy, …       │
 *      └─────────┴─────────────────────────────┴─────────────────────────────┘
 *       64        each with a control block of its own
 *
 * `alloc` gives permanent blocks, `temporary.alloc` temporary ones; `free`, `realloc`, `resize` and
 * `sizeOf` find the owner by address. `resetTemporary()` gives all temporary blocks back at once.
 * Costs are those of the parts, and one compare.
 *
 * Serves one thread. Behind `Locked`, reach the temporary part through `locked.over(hybrid.temporary)`,
 * which puts the same lock around it.
 */

import { AttachError, hex } from '../errors.ts';
import { type Address, alignUp, NULL, UNIT } from '../memory/address.ts';
import { checkInteger } from '../memory/layout.ts';
import type { Memory } from '../memory/memory.ts';
import type { Thread } from '../sync/thread.ts';
import {
  Algorithm,
  checkAlgorithm,
  checkRegion,
  layControl,
  MEASURES,
  type OwnershipCodec,
  type RegionOptions,
  sealControl,
} from './algorithm.ts';
import { BumpAllocator } from './bump.ts';
import { CONTROL_BYTES, checkControl, KIND_HYBRID, OWN } from './control.ts';
import { type AlgorithmClass, attachAlgorithm } from './kinds.ts';

/** The unit where the permanent part starts. */
const PERMANENT = OWN;

/** What a hybrid allocator can be told. */
export interface HybridOptions<A extends Algorithm = Algorithm, O extends RegionOptions = RegionOptions>
  extends RegionOptions {
  /** The algorithm of the permanent part. */
  readonly allocator: AlgorithmClass<A, O>;
  /** Its own options. */
  readonly options?: Omit<O, keyof RegionOptions>;
  /** Bytes for temporary blocks. Default: a quarter of the region. */
  readonly temporaryBytes?: number;
}

/** Temporary blocks in a bump allocator, permanent ones in another. Serves one thread, or many behind `Locked`. */
export class HybridAllocator<A extends Algorithm = Algorithm> extends Algorithm {
  /** Where temporary blocks come from. */
  readonly temporary: BumpAllocator;
  /** Where all other blocks come from. */
  readonly permanent: A;
  readonly #boundary: number;

  /**
   * Lays out both parts.
   *
   * @throws RangeError when the region or a part is misaligned, outside the memory or too small
   */
  static create<A extends Algorithm, O extends RegionOptions>(
    memory: Memory,
    options: HybridOptions<A, O>,
  ): HybridAllocator<A> {
    const region = checkRegion(memory, options, 4 * CONTROL_BYTES);
    const room = region.end - region.start - CONTROL_BYTES;
    const temporaryBytes = options.temporaryBytes ?? Math.floor(room / 4);
    checkInteger('temporaryBytes', temporaryBytes, 0, room);
    const first = region.start + CONTROL_BYTES;
    const boundary = first + alignUp(temporaryBytes, UNIT);
    const thread = options.thread === undefined ? {} : { thread: options.thread };
    const temporary = BumpAllocator.create(memory, { start: first, byteLength: boundary - first, ...thread });
    checkAlgorithm(options.allocator);
    const permanent = options.allocator.create(memory, {
      ...(options.options as O),
      start: boundary,
      byteLength: region.end - boundary,
      ...thread,
      linkKey: options.linkKey ?? 0,
    });
    layControl(memory, region, 0, first, region.end);
    memory.u32[(region.start >>> 2) + PERMANENT] = boundary / UNIT;
    sealControl(memory, region.start, KIND_HYBRID);
    return new HybridAllocator(memory, region.start, temporary, permanent);
  }

  /**
   * Adopts the allocator that `create` laid out at `start`, whatever its parts are.
   *
   * @throws AttachError when there is none
   */
  static attach(memory: Memory, start: number, thread?: Thread, linkKey?: number): HybridAllocator {
    checkControl(memory, start, KIND_HYBRID);
    const temporary = BumpAllocator.attach(memory, start + CONTROL_BYTES, thread);
    const boundary = memory.u32[(start >>> 2) + PERMANENT]! * UNIT;
    // Also keeps a boundary that leads back to `start` from attaching for ever.
    if (temporary.end !== boundary)
      throw new AttachError(`the hybrid allocator at ${hex(start)} has a gap between its parts`);
    const permanent = attachAlgorithm(memory, boundary, thread, linkKey);
    return new HybridAllocator(memory, start, temporary, permanent);
  }

  private constructor(memory: Memory, start: number, temporary: BumpAllocator, permanent: A) {
    super(memory, start, permanent.thread);
    this.temporary = temporary;
    this.permanent = permanent;
    this.#boundary = permanent.start;
  }

  /** Gives all temporary blocks back at once, live or not. */
  resetTemporary(): void {
    this.temporary.reset();
  }

  #partOf(address: Address): Algorithm {
    return address < this.#boundary ? this.temporary : this.permanent;
  }

  override realloc(address: Address, size: number, align?: number): Address {
    return this.#partOf(address === NULL ? this.permanent.start : address).realloc(address, size, align);
  }

  // Each part counts for itself, so the steps that count go to the part as a whole.

  override allocate(size: number, align: number): Address {
    return this.permanent.allocate(size, align);
  }

  override release(address: Address): void {
    this.#partOf(address).release(address);
  }

  override resizeInPlace(address: Address, size: number): boolean {
    return this.#partOf(address).resizeInPlace(address, size);
  }

  override measure(out: Float64Array): void {
    this.permanent.measure(out);
    const temporary = new Float64Array(MEASURES);
    this.temporary.measure(temporary);
    const largest = out[3]!;
    for (let i = 0; i < MEASURES; i++) out[i]! += temporary[i]!;
    out[0]! += CONTROL_BYTES;
    // `alloc` serves from the permanent part alone.
    out[3] = largest;
  }

  override allocBlock(size: number, align: number): Address {
    return this.permanent.allocBlock(size, align);
  }

  override freeBlock(address: Address): void {
    this.#partOf(address).freeBlock(address);
  }

  override resizeBlock(address: Address, size: number): boolean {
    return this.#partOf(address).resizeBlock(address, size);
  }

  override usableSize(address: Address): number {
    return this.#partOf(address).usableSize(address);
  }

  override ownershipIndex(address: Address): number {
    return this.#partOf(address).ownershipIndex(address);
  }

  override ownershipCodec(): OwnershipCodec {
    return this.permanent.ownershipCodec();
  }

  override ownershipIndexAt(address: Address): number {
    return this.#partOf(address).ownershipIndexAt(address);
  }

  override isFree(address: Address): boolean {
    return this.#partOf(address).isFree(address);
  }

  override keptAlign(address: Address): number {
    return this.#partOf(address).keptAlign(address);
  }

  override firstBlock(): Address {
    const first = this.temporary.firstBlock();
    return first === NULL ? this.permanent.firstBlock() : first;
  }

  override blockAfter(address: Address): Address {
    const next = this.#partOf(address).blockAfter(address);
    return next === NULL && address < this.#boundary ? this.permanent.firstBlock() : next;
  }

  /** Takes more bytes right above, for the permanent part. */
  override extend(bytes: number): boolean {
    return this.permanent.extend(bytes);
  }

  override get end(): number {
    return this.permanent.end;
  }

  override freeBytes(): number {
    return this.permanent.freeBytes() + this.temporary.freeBytes();
  }

  override largestFree(): number {
    return this.permanent.largestFree();
  }

  override rebuild(): void {
    this.temporary.rebuild();
    this.permanent.rebuild();
  }

  override verify(): void {
    this.temporary.verify();
    this.permanent.verify();
  }
}
