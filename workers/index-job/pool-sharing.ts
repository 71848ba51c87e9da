/**
 * A worker of the pool that shares a heap. Between two tasks it rests: what it keeps for its next
 * allocations can be taken back by a thread that runs out of room.
 */

import { heapTask } from '../../src/threads/piscina.ts';
import { sharedTasks } from './shared-tasks.ts';

export const ready = heapTask(sharedTasks.ready);
export const addShares = heapTask(sharedTasks.addShares);
export const countUses = heapTask(sharedTasks.countUses);
export const destroyAll = heapTask(sharedTasks.destroyAll);
