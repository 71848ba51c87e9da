/** Watched workers of a thread that may not block, as a page's main thread. */

import { expect, test, vi } from 'vitest';
import type { ReapReport } from '../../src/heap/recovery.ts';
import { RECOVERY_LOCK } from '../../src/heap/superblock.ts';
import { UNBLOCKABLE_SPIN_MS } from '../../src/sync/lock.ts';
import { anotherThread } from '../misuse/another-thread.ts';
import { Scene } from './casualties.ts';

vi.mock('#platform', async (original) => ({ ...(await original<object>()), mayBlock: () => false }));

test('who cannot reap at once, because a thread that lives is at it, comes back', async () => {
  const scene = new Scene();
  const { heap } = scene;
  const other = anotherThread(heap);
  expect(heap.thread.mayBlock).toBe(false);

  const { worker } = scene.start('exit');
  other.lock(RECOVERY_LOCK).acquire();
  const onFailed = vi.fn();
  const onReaped = vi.fn<(report: ReapReport) => void>();
  const { threadId } = worker;
  heap.watch(worker, { reclaim: true, onReaped, onFailed });
  await new Promise((resolve) => worker.once('exit', resolve));
  await new Promise((resolve) => setTimeout(resolve, 2 * UNBLOCKABLE_SPIN_MS));
  expect(heap.threads().map(({ state }) => state)).toEqual(['active', 'active', 'dead']);
  expect(onReaped).not.toHaveBeenCalled();

  other.lock(RECOVERY_LOCK).release();
  await expect.poll(() => onReaped.mock.calls.length, { timeout: 60_000 }).toBe(1);
  expect(onReaped.mock.calls[0]![0]).toMatchObject({ threadId, reclaimed: true });
  expect(onFailed).not.toHaveBeenCalled();
  heap.reap(other.thread);
  scene.expectSound();
  heap.detach();
});
