/** A module of tasks that ends its thread while it is loaded, with a lock in its hands. */

import { currentHeap } from '../../src/threads/piscina.ts';

const heap = currentHeap();
heap.lock(heap.allocZeroed(8)).acquire();
process.exit(1);
