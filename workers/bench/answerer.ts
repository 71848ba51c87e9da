/** Answers each graph that it is sent: with the graph itself, or with the sum of all that is in it. */

import { parentPort, workerData } from 'node:worker_threads';
import { type PlainItem, sumOf } from '../../bench/workloads/hand-off.ts';

const { whole } = workerData as { whole: boolean };
parentPort!.on('message', (graph: PlainItem) => parentPort!.postMessage(whole ? sumOf(graph) : graph));
