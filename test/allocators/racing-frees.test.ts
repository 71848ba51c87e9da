/** Threads that free one block at the same moment: one gets through, the others are told so. */

import { expect, test } from 'vitest';
import { MiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import type { RacingFreeJob, RacingFreeReport } from '../../workers/test-threads/racing-free.ts';
import { runCrew } from '../stress/crew.ts';
import { Rendezvous } from '../stress/rendezvous.ts';
import { expectAllBack } from './conformance.ts';
import { subjects } from './subjects.ts';

const locked = subjects.filter(({ wrapper }) => wrapper === 'locked');
const cases = locked.flatMap((subject) => [
  { ...subject, parties: 2, rounds: 2000 },
  { ...subject, parties: 4, rounds: 400 },
]);

test.each(cases)('$name: $parties threads free each block, $rounds times', async (subject) => {
  const { parties, rounds } = subject;
  const memory = Memory.create(MiB);
  const start = 4096;
  const allocator = subject.create(memory, start, MiB / 2);
  const first = allocator.stats();
  // Neighbours that stay, so that blocks are cut from a hole as well as from the rest.
  const walls = Array.from({ length: 8 }, () => allocator.alloc(50));
  for (const [i, wall] of walls.entries()) if (i % 2 === 0) allocator.free(wall);

  const meeting = new Rendezvous(parties, 3).buffer;
  const jobs = Array.from({ length: parties }, (_, index) => ({
    ...{ buffer: memory.buffer, start, meeting, parties, index, rounds },
  }));
  const reports = await runCrew<RacingFreeJob, RacingFreeReport>('racing-free', jobs);

  expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
  expect(reports.reduce((sum, { unfair }) => sum + unfair, 0)).toBe(0);
  expect(reports.reduce((sum, { taken }) => sum + taken, 0)).toBe(rounds);
  allocator.verify();
  for (const [i, wall] of walls.entries()) if (i % 2 !== 0) allocator.free(wall);
  expectAllBack(allocator, first);
});
