/**
 * Question: what a benchmark asks, and what it answers: tables for people and figures with verdicts.
 */

import type { Table } from './table.ts';

/** How much to measure. */
export type Effort = 'full' | 'quick' | 'tiny';

/** What a question is given. */
export interface Setting {
  /** The Node binary that the children run. */
  readonly node: string;
  readonly effort: Effort;
  /** How often each case is measured. */
  readonly rounds: number;
  /** How often a case is measured again because others kept the machine busy. */
  readonly patience: number;
  /** Only what the figures need. */
  readonly focus: boolean;
  /** Told before each child process starts. */
  readonly progress: (done: number, of: number, what: string) => void;
}

/** A figure that has a limit. */
export interface Figure {
  readonly figure: string;
  /** The limit, and what would be better. */
  readonly atLeast: number;
  readonly aim: number;
  readonly better: 'lower' | 'higher';
  /** What was measured, or undefined when a subject could not be had. */
  readonly measured: number | undefined;
  /** '×', '%', 'locks', … */
  readonly unit: string;
  /** Lowest and highest of the rounds. */
  readonly spread?: readonly [number, number] | undefined;
  readonly note?: string;
}

/** A subject that could not be had, and why. */
export interface Missing {
  readonly subject: string;
  readonly reason: string;
}

/** What came out of a question. */
export interface Answer {
  readonly tables: readonly Table[];
  readonly figures: readonly Figure[];
  readonly missing: readonly Missing[];
  /** Measurements that broke: wrong contents, crashes. */
  readonly failures: readonly string[];
  /** How many cores others kept busy during each measurement. */
  readonly disturbances: readonly number[];
}

/** One benchmark. */
export interface Question {
  readonly name: string;
  readonly asks: string;
  run(setting: Setting): Promise<Answer>;
}

/** How a figure came out. */
export type Verdict = 'aim' | 'met' | 'missed' | 'not measured';

export function verdictOf({ measured, atLeast, aim, better }: Figure): Verdict {
  if (measured === undefined || Number.isNaN(measured)) return 'not measured';
  const reaches = (limit: number): boolean => (better === 'lower' ? measured <= limit : measured >= limit);
  if (reaches(aim)) return 'aim';
  return reaches(atLeast) ? 'met' : 'missed';
}
