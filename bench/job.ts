/**
 * Job: one measurement of one subject, made in a fresh process; and its numbers.
 *
 *     question ── cases ──▶ rounds ── job, as JSON ──▶ child process ── numbers ──▶ rounds ── medians, ratios
 */

/** What a child process is to do. */
export interface Job {
  /** A key of the table in `workloads.ts`. */
  readonly workload: string;
  /** A name of the table in `subject-table.ts`, or what the workload says. */
  readonly subject: string;
  /** How many threads work. Default 1. */
  readonly threads?: number;
  /** The workload's own parameters. */
  readonly options?: Readonly<Record<string, number>>;
}

/** What came out, by metric. */
export type Numbers = Readonly<Record<string, number>>;

/** A job's parameter, or its default. */
export function option(job: Job, name: string, otherwise: number): number {
  return job.options?.[name] ?? otherwise;
}
