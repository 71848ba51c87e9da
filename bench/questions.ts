/** The list of questions, in the order in which they are asked. */

import type { Question } from './question.ts';
import { buddyFree } from './questions/buddy-free.ts';
import { channel } from './questions/channel.ts';
import { efficiency } from './questions/efficiency.ts';
import { fields } from './questions/fields.ts';
import { glibcThread } from './questions/glibc-thread.ts';
import { handOff } from './questions/hand-off.ts';
import { image } from './questions/image.ts';
import { larson } from './questions/larson.ts';
import { latency } from './questions/latency.ts';
import { liveBlocks } from './questions/live-blocks.ts';
import { map } from './questions/map.ts';
import { mstress } from './questions/mstress.ts';
import { pair } from './questions/pair.ts';
import { recovery } from './questions/recovery.ts';
import { threads } from './questions/threads.ts';
import { vec } from './questions/vec.ts';
import { xmalloc } from './questions/xmalloc.ts';

export const QUESTIONS: readonly Question[] = [
  pair,
  buddyFree,
  fields,
  threads,
  larson,
  xmalloc,
  mstress,
  glibcThread,
  liveBlocks,
  efficiency,
  latency,
  handOff,
  channel,
  map,
  vec,
  image,
  recovery,
];
