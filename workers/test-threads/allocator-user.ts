/**
 * Allocator user: allocates blocks of mixed sizes, fills them, and puts them into a table that all
 * threads share; what it takes out in exchange, mostly another thread's, it checks and frees.
 *
 *      payload   size u32 │ seed u32 │ words made from the seed … │ rest of 0 to 3 bytes
 */

import { parentPort, workerData } from 'node:worker_threads';
import { type Address, Heap, Locked, Memory, NULL, ThreadCached } from '../../src/index.ts';
import { payloadFault, stampPayload } from '../../test/stress/payload.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

export interface AllocatorUserJob {
  readonly buffer: SharedArrayBuffer;
  readonly start: number;
  /** What `attach` finds at `start`. */
  readonly wrapper: 'locked' | 'cached' | 'heap';
  readonly meeting: SharedArrayBuffer;
  readonly parties: number;
  readonly seed: number;
  /** Calls of the allocator, at least. */
  readonly operations: number;
  readonly maxSize: number;
  readonly maxAlign: number;
}

export interface AllocatorUserReport {
  readonly operations: number;
  readonly exhausted: number;
  readonly faults: readonly string[];
}

const LEAST = 8;

const job = workerData as AllocatorUserJob;
const memory = Memory.attach(job.buffer);
const table = new Rendezvous(job.parties, job.meeting);
const allocator = attach();
const faults: string[] = [];
let operations = 0;
let exhausted = 0;
let state = job.seed | 1;

function attach(): Locked | ThreadCached | Heap {
  if (job.wrapper === 'heap') return Heap.attach(job.buffer);
  return job.wrapper === 'cached' ? ThreadCached.attach(memory, job.start) : Locked.attach(memory, job.start);
}

/** xorshift32: the same run for the same seed, as far as the other threads let it. */
function random(below: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % below;
}

function randomSize(): number {
  const roll = random(100);
  const most = roll < 80 ? 120 : roll < 99 ? 600 : 4000;
  return Math.min(job.maxSize, LEAST + random(most));
}

function takeBack(address: Address): void {
  const fault = payloadFault(memory, address);
  if (fault !== undefined) faults.push(fault);
  operations++;
  allocator.free(address);
}

/** A stamped block, or `NULL` when there is no room. */
function makeBlock(): Address {
  const size = randomSize();
  const align = random(16) === 0 ? Math.min(job.maxAlign, 2 ** random(8)) : 8;
  let address = allocator.alloc(size, align);
  operations++;
  if (address === NULL) {
    exhausted++;
    return NULL;
  }
  if (address % align !== 0) faults.push(`${address} is not aligned to ${align}`);
  stampPayload(memory, address, size, random(2 ** 31));
  if (random(8) === 0) address = changeBlock(address, size);
  return address;
}

/** Another size for a block of this thread, in place or not. */
function changeBlock(address: Address, size: number): Address {
  const wanted = randomSize();
  const seed = memory.u32[address / 4 + 1]!;
  const moved = allocator.realloc(address, wanted);
  operations++;
  if (moved === NULL) {
    exhausted++;
    return address;
  }
  const kept = memory.u32[moved / 4] === size && memory.u32[moved / 4 + 1] === seed;
  if (!kept) faults.push(`realloc lost the first words of ${address}`);
  stampPayload(memory, moved, wanted, seed);
  return moved;
}

table.meet();
while (operations < job.operations) {
  const address = makeBlock();
  const other = (table.exchange(random(table.slots), address / 8) >>> 0) * 8;
  if (other !== NULL) takeBack(other as Address);
  if (random(64) === 0) allocator.free(allocator.alloc(random(LEAST)));
}
table.meet();
if (allocator instanceof ThreadCached) allocator.flush();

parentPort!.postMessage({ operations, exhausted, faults: faults.slice(0, 10) } satisfies AllocatorUserReport);
