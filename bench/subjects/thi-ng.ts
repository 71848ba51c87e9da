/** `@thi.ng/malloc`: a first-fit list in any buffer; bare, and behind the library's own lock. */

import { MemPool } from '@thi.ng/malloc';
import { Memory, ParkLock, toAddress } from '../../src/index.ts';
import type { Site, SubjectKind } from '../subject.ts';

const LOCK = toAddress(64);
const START = 128;

function bare(bytes: number): Site {
  const buffer = new SharedArrayBuffer(bytes);
  const pool = new MemPool({ buf: buffer, start: START });
  return {
    subject: { alloc: (size) => pool.malloc(size), free: (address) => pool.free(address) },
    buffer,
    ticket: buffer,
  };
}

function locked(buffer: SharedArrayBuffer, skipInitialization: boolean): Site {
  const pool = new MemPool({ buf: buffer, start: START, skipInitialization });
  const lock = new ParkLock(Memory.attach(buffer), LOCK);
  return {
    subject: {
      alloc(size) {
        lock.acquire();
        try {
          return pool.malloc(size);
        } finally {
          lock.release();
        }
      },
      free(address) {
        lock.acquire();
        try {
          return pool.free(address);
        } finally {
          lock.release();
        }
      },
    },
    buffer,
    ticket: buffer,
  };
}

export const THI_NG_KINDS: readonly SubjectKind[] = [
  { name: 'thi.ng', label: '@thi.ng/malloc, bare', create: bare },
  {
    name: 'thi.ng-park',
    label: '@thi.ng/malloc, park lock',
    create: (bytes) => locked(new SharedArrayBuffer(bytes), false),
    open: (ticket) => locked(ticket as SharedArrayBuffer, true),
  },
];
