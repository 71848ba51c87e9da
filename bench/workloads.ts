/** The table of workloads: what a child process can be told to do. */

import type { Job, Numbers } from './job.ts';
import { measureBuddyFree } from './workloads/buddy-free.ts';
import { measureChannel } from './workloads/channel.ts';
import { measureEfficiency, measureMetadata } from './workloads/efficiency.ts';
import { measureFields } from './workloads/fields.ts';
import { measureGlibcThread } from './workloads/glibc-thread.ts';
import { measureHandOff } from './workloads/hand-off.ts';
import { buildImage, measureImage, measureImageCrew, readImage, readImageCrew } from './workloads/image.ts';
import { measureLarson } from './workloads/larson.ts';
import { measureLatency } from './workloads/latency.ts';
import { measureLiveBlocks } from './workloads/live-blocks.ts';
import { measureCount, measureLookUp } from './workloads/map.ts';
import { measureMstress } from './workloads/mstress.ts';
import { measureKept, measureLock, measurePair } from './workloads/pair.ts';
import { measureRecovery } from './workloads/recovery.ts';
import { measureRing } from './workloads/ring.ts';
import { measureSum } from './workloads/vec.ts';
import { measureXmalloc } from './workloads/xmalloc.ts';

type Workload = (job: Job) => Numbers | Promise<Numbers>;

const TABLE: Readonly<Record<string, Workload>> = {
  'buddy-free': measureBuddyFree,
  channel: measureChannel,
  count: measureCount,
  efficiency: measureEfficiency,
  fields: measureFields,
  'glibc-thread': measureGlibcThread,
  'hand-off': measureHandOff,
  image: measureImage,
  'image-build': buildImage,
  'image-crew': measureImageCrew,
  'image-read': readImage,
  'image-read-crew': readImageCrew,
  kept: measureKept,
  larson: measureLarson,
  latency: measureLatency,
  'live-blocks': measureLiveBlocks,
  lock: measureLock,
  'look-up': measureLookUp,
  metadata: measureMetadata,
  mstress: measureMstress,
  pair: measurePair,
  recovery: measureRecovery,
  ring: measureRing,
  sum: measureSum,
  xmalloc: measureXmalloc,
};

/** Does the job. */
export async function perform(job: Job): Promise<Numbers> {
  const workload = Object.hasOwn(TABLE, job.workload) ? TABLE[job.workload] : undefined;
  if (workload === undefined) throw new RangeError(`no workload is named ${job.workload}`);
  return await workload(job);
}
