/** A member of a benchmark's crew: opens the subject, does its part, answers with its numbers. */

import { parentPort, workerData } from 'node:worker_threads';
import type { Orders } from '../../bench/crew.ts';
import { doPart } from '../../bench/parts.ts';
import { openSite } from '../../bench/subject-table.ts';
import { Rendezvous } from '../../test/stress/rendezvous.ts';

const orders = workerData as Orders;
const { job, member, members, round } = orders;
const board = new Rendezvous(members, orders.board);
const words = new Uint32Array(orders.words);
const site = orders.ticket === undefined ? undefined : openSite(job.subject, orders.ticket, member);

parentPort!.postMessage(doPart(orders.part, { job, member, members, round, site, board, words }));
