/**
 * Four threads, 200,000 calls each, on every allocator that is safe for threads: blocks are freed by other threads than
 * allocated them, every payload is checked, and at the end all that was there at first is there again.
 */

import { expect, test } from 'vitest';
import { type Address, MiB, NULL } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import type { AllocatorUserJob, AllocatorUserReport } from '../../workers/test-threads/allocator-user.ts';
import { SEED } from '../random.ts';
import { runCrew } from '../stress/crew.ts';
import { payloadFault } from '../stress/payload.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { expectAllBack } from './conformance.ts';
import { subjects } from './subjects.ts';

const THREADS = 4;
const OPERATIONS = 200_000;
const SLOTS = 256;

const safe = subjects.filter(({ wrapper }) => wrapper !== 'none' && wrapper !== 'checked');

test.each(safe)('$name', async (subject) => {
  const memory = Memory.create(3 * MiB);
  const { start, wrapper } = subject;
  const allocator = subject.create(memory, start, 2 * MiB);
  const first = allocator.stats();
  const table = new Rendezvous(THREADS, SLOTS);
  const jobs = Array.from(
    { length: THREADS },
    (_, index): AllocatorUserJob => ({
      buffer: memory.buffer,
      start,
      wrapper: wrapper as AllocatorUserJob['wrapper'],
      meeting: table.buffer,
      parties: THREADS,
      seed: (SEED ^ Math.imul(index + 1, 0x9e3779b1)) | 0,
      operations: OPERATIONS,
      maxSize: subject.maxSize,
      maxAlign: subject.maxAlign,
    }),
  );
  const reports = await runCrew<AllocatorUserJob, AllocatorUserReport>('allocator-user', jobs);

  expect(
    reports.flatMap(({ faults }) => faults),
    `SEED=${SEED}`,
  ).toEqual([]);
  for (const report of reports) expect(report.operations).toBeGreaterThanOrEqual(OPERATIONS);
  allocator.verify();

  const left: Address[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const address = ((table.load(slot) >>> 0) * 8) as Address;
    if (address !== NULL) left.push(address);
  }
  expect(allocator.stats().liveBlocks).toBe(left.length);
  for (const address of left) {
    expect(payloadFault(memory, address), `SEED=${SEED}`).toBeUndefined();
    allocator.free(address);
  }
  expectAllBack(allocator, first);
  if (subject.reclaims) expect(reports.reduce((sum, { exhausted }) => sum + exhausted, 0)).toBe(0);
});
