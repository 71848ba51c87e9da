/**
 * Subject: something that gives out blocks and takes them back, as a workload sees it. A process opens
 * one subject only, so that the calls in the workload's loop know their target.
 */

import type { Heap } from '../src/index.ts';

/** The two calls of every loop. */
export interface Subject {
  /** An address, or 0 when there is no room. */
  alloc(size: number): number;
  free(address: number): unknown;
}

/** The calls that take alignments. */
export interface AligningSubject extends Subject {
  allocAligned(size: number, align: number): number;
  /** Keeps the alignment. 0 when there is no room, with the block as it was. */
  realloc(address: number, size: number, align: number): number;
}

/** A subject in one thread. */
export interface Site {
  readonly subject: Subject;
  readonly buffer: SharedArrayBuffer;
  /** What crosses to other threads, for `open`. */
  readonly ticket: unknown;
  readonly aligning?: AligningSubject;
  /** Where the subject is a heap of ours. */
  readonly heap?: Heap;
  /** Checks the subject's own invariants, where it can. */
  verify?(): void;
  /** The largest block that can be had, where the subject knows. */
  largestFree?(): number;
  /** How often locks that the subject tells of were taken. */
  lockAcquisitions?(): number;
}

/** How a subject is had. */
export interface SubjectKind {
  readonly name: string;
  /** For people. */
  readonly label: string;
  /** Why it can't be had here. */
  whyMissing?(): string | undefined;
  /** Makes one with so many bytes. */
  create?(bytes: number): Site;
  /** Opens one that another thread of the process made; members count from 1. */
  open?(ticket: unknown, member: number): Site;
}
