/** Posts numbers to the thread that started it, one message each. */

import { parentPort, workerData } from 'node:worker_threads';

const { count } = workerData as { count: number };
for (let i = 0; i < 2 * count; i++) parentPort!.postMessage(i);
