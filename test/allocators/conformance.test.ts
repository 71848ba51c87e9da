/** Every allocator, bare and locked, keeps the contract; the table of subjects says which there are. */

import { describe } from 'vitest';
import { MiB } from '../../src/memory/address.ts';
import { Memory } from '../../src/memory/memory.ts';
import { conformance } from './conformance.ts';
import { misuse } from './misuse.ts';
import { Site } from './site.ts';
import { subjects } from './subjects.ts';

const memory = Memory.create(MiB);

describe.each(subjects)('$name', (subject) => {
  const site = new Site(memory, subject.start);
  conformance(subject, site);
  misuse(subject, site);
});
