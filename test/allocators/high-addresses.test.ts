/**
 * Addresses where signed shifts and 32-bit sums go wrong: every allocator with its region across 2 GiB,
 * and with the last byte of its region the last below 4 GiB.
 */

import { describe } from 'vitest';
import { GiB, KiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { conformance } from './conformance.ts';
import { misuse } from './misuse.ts';
import { SITE_BYTES, Site } from './site.ts';
import { subjects } from './subjects.ts';

const memory = Memory.create(4 * GiB);

const sites = [
  ['across 2 GiB', 2 * GiB - 64 * KiB],
  ['up to 4 GiB', 4 * GiB - SITE_BYTES],
] as const;

// One lock stands for all of them: what lies behind it is tested bare. A heap starts where its memory does.
const some = subjects.filter(
  ({ name, wrapper }) => wrapper === 'none' || wrapper === 'cached' || name === 'linked list, locked (park)',
);

describe.each(sites)('%s', (_, start) => {
  const site = new Site(memory, start);
  describe.each(some)('$name', (subject) => {
    conformance(subject, site);
    misuse(subject, site);
  });
});
