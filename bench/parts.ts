/** The table of parts: what a worker of a crew can be told to do. */

import type { Part } from './crew.ts';
import type { Numbers } from './job.ts';
import { channelPart } from './workloads/channel.ts';
import { slotsPart } from './workloads/glibc-thread.ts';
import { handOffPart } from './workloads/hand-off.ts';
import { larsonPart } from './workloads/larson.ts';
import { latencyPart } from './workloads/latency.ts';
import { countPart } from './workloads/map.ts';
import { mstressPart } from './workloads/mstress.ts';
import { ringPart } from './workloads/ring.ts';
import { xmallocPart } from './workloads/xmalloc.ts';

const TABLE: Readonly<Record<string, (part: Part) => Numbers>> = {
  channel: channelPart,
  count: countPart,
  'glibc-thread': slotsPart,
  'hand-off': handOffPart,
  larson: larsonPart,
  latency: latencyPart,
  mstress: mstressPart,
  ring: ringPart,
  xmalloc: xmallocPart,
};

/** Does a part. */
export function doPart(name: string, part: Part): Numbers {
  const work = Object.hasOwn(TABLE, name) ? TABLE[name] : undefined;
  if (work === undefined) throw new RangeError(`no part is named ${name}`);
  return work(part);
}
