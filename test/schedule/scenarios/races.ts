/** The plain accesses of the library that race and may: what each is, and why it does no harm. */

import type { AllowedRace } from '../engine/scenario.ts';

/** Of the algorithms: words that are read without the lock. */
export const UNLOCKED_READS: readonly AllowedRace[] = [
  {
    reason: 'a live block lies below `next`, which only goes up meanwhile',
    between: ['BumpAllocator.next'],
    and: ['BumpAllocator.setNext'],
  },
  {
    reason: 'whoever has a block in hands reads its own geometry: others change no bit of it but "below free"',
    between: [
      'BoundaryTags.usableSize',
      'BoundaryTags.keptAlign',
      'BoundaryTags.ownershipIndex',
      'Runs.joinMany',
    ],
    and: ['BoundaryTags.coalesce', 'Runs.takeBottom'],
  },
  {
    reason: 'the block above a live one starts where it starts, and never says "below free"',
    between: ['BoundaryTags.ownershipIndex'],
    and: ['BoundaryTags.allocBlock', 'BoundaryTags.freeBlock', 'Runs.cutMany', 'Runs.takeMany'],
  },
];

/** Ownership words: written by who has the block in hands, looked at by who walks under the lock. */
export const OWNERSHIP_WALKS: readonly AllowedRace[] = [
  {
    reason: 'a walk looks for gaps, whose words nobody changes: any other value is none',
    between: ['BoundaryTags.isGap'],
    and: ['Runs.joinMany', 'ThreadCache.allocClass', 'ThreadCached.alloc', 'ThreadCached.free'],
  },
  {
    reason: 'a walk changes only words of another owner, by a swap that fails when the holder was faster',
    between: ['Locked.orphan', 'Locked.reclaimOf'],
    and: ['Runs.joinMany', 'ThreadCache.allocClass', 'ThreadCached.alloc', 'ThreadCached.free'],
  },
];

/** Two frees of one block at the same moment: found when it leaves one of the two caches. */
export const RACING_FREES: readonly AllowedRace[] = [
  {
    reason: 'the word names the last of the two that freed the block; the other drops it when it would leave',
    between: ['ThreadCached.free', 'Algorithm.heldIndex', 'Algorithm.notHeld'],
    and: ['ThreadCached.free'],
  },
];

/** Channels: cells behind the first of a run. */
export const CHANNEL_RUNS: readonly AllowedRace[] = [
  {
    reason: 'a cell behind the first of a run: who sees it early claims it by a swap, and is not confirmed',
    between: ['Channel.isIn', 'Channel.put', 'Channel.putMany', 'Channel.poll', 'Channel.pollMany'],
    and: ['Channel.freeRun', 'Channel.publishRun'],
  },
];

/** Maps: readers that take no lock, and look afterwards whether a writer was there. */
export const MAP_READERS: readonly AllowedRace[] = [];
