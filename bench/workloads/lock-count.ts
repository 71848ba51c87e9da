/** Counts every lock that this thread takes, whoever takes it: for runs that are not timed. */

import { type Lock, ParkLock } from '../../src/index.ts';

export interface LockCount {
  acquisitions: number;
  contended: number;
}

/** Starts to count. */
export function countLocks(): LockCount {
  const count = { acquisitions: 0, contended: 0 };
  const locks = Object.getPrototypeOf(ParkLock.prototype) as Lock;
  const { acquire, tryAcquire } = locks;
  locks.acquire = function (this: Lock): boolean {
    count.acquisitions++;
    const contended = acquire.call(this);
    if (contended) count.contended++;
    return contended;
  };
  locks.tryAcquire = function (this: Lock): boolean {
    const taken = tryAcquire.call(this);
    if (taken) count.acquisitions++;
    return taken;
  };
  return count;
}
