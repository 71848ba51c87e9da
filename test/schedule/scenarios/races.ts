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
    reason:
      'whoever has a block in hands reads its own geometry: others change no bit of it but "below free"',
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
    and: [
      'BoundaryTags.allocBlock',
      'BoundaryTags.freeBlock',
      'BoundaryTags.splitFront',
      'Runs.cutMany',
      'Runs.takeMany',
    ],
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
    between: ['sweep'],
    and: ['Runs.joinMany', 'ThreadCache.allocClass', 'ThreadCached.alloc', 'ThreadCached.free'],
  },
];

/** Blocks that two threads mark as shared at the same moment. */
export const SHARED_TWICE: readonly AllowedRace[] = [
  {
    reason: 'both make the same of the word: SHARED, whoever had the block before',
    between: ['Locked.tryShare'],
  },
];

/** Thread slots: who looks at one while another thread takes it. */
export const SLOT_LOOKS: readonly AllowedRace[] = [
  {
    reason:
      'a slot is looked at while it is taken: what is done about it looks again, under the recovery lock',
    between: [
      'ThreadSlots.hasEnded',
      'ThreadSlots.hasProof',
      'ThreadSlots.isGone',
      'ThreadSlots.isTenant',
      'ThreadSlots.signOf',
      'ThreadSlots.taken',
    ],
    and: ['ThreadSlots.sign', 'ThreadSlots.take'],
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
    between: [
      'ChannelCells.isIn',
      'Channel.put',
      'Channel.putMany',
      'Channel.poll',
      'Channel.pollMany',
      'Channel.runOf',
      'Channel.voided',
    ],
    and: ['Channel.freeRun', 'Channel.publishRun', 'Channel.emptyRest', 'ChannelCells.inherit'],
  },
];

const READS_SLOTS = [
  'MapCore.read',
  'MapCore.entryOf',
  'IntegerSlots.find',
  'HashedSlots.find',
  'u32.read',
  'f64.read',
  'i32.read',
  'IntegerKeys.matches',
  'TextKeys.matches',
];

/** Maps: what is read without the lock. */
export const MAP_READERS: readonly AllowedRace[] = [
  {
    reason:
      'readers take no lock: they look at lock and version afterwards, and again when a writer was there',
    between: READS_SLOTS,
    and: [
      'MapCore.begin',
      'MapCore.putInSlot',
      'MapCore.putEntry',
      'MapCore.unlink',
      'MapCore.swap',
      'MapCore.clearShard',
      'MapCore.dropDoomed',
      'MapCore.giveUp',
      'MapCore.publishNext',
      'swapOwned',
      'takeOut',
      'MapCore.link',
      'SharedMap.setCell',
      'Slots.erase',
      'IntegerKeys.write',
      'TextKeys.write',
      'u32.write',
      'f64.write',
      'i32.write',
    ],
  },
  {
    reason:
      'the entry was freed under the reader: what it reads there it does not use, as the version changed',
    between: READS_SLOTS,
    and: ['Algorithm.setLink', 'TlsfAllocator.linkFree', 'BoundaryTags.freeBlock', 'BoundaryTags.coalesce'],
  },
  {
    reason: 'who adds without the lock finds by its swap whether the slot is still what it looked like',
    between: ['Cells.add'],
    and: ['Slots.erase', 'i32.write'],
  },
  {
    reason: 'a guess of the size of a new table, looked at again under the lock',
    between: ['MapCore.grow'],
    and: ['MapCore.link', 'MapCore.unlink', 'MapCore.recount', 'MapCore.swap'],
  },
  {
    reason: 'marks of use may get lost: they are hints for eviction',
    between: ['Usage.touch', 'Usage.note'],
    and: ['Usage.evict', 'Usage.touch'],
  },
];

/** Arcs: what is looked at before the count is taken. */
export const ARC_CHECKS: readonly AllowedRace[] = [
  {
    reason: 'a look whether a target lies there: both words that it may hold are right',
    between: ['checkTarget'],
    and: ['takeOff'],
  },
];
