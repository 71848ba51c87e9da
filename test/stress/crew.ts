/**
 * Crew: worker threads that run one program of `workers/test-threads`, as built, each with a job of its
 * own. A program posts one message: its report.
 */

import { Worker } from 'node:worker_threads';

/** Starts a thread for each job. Resolves with their reports once all have ended well. */
export function runCrew<Job extends object, Report>(
  program: string,
  jobs: readonly Job[],
): Promise<Report[]> {
  return Promise.all(jobs.map((job) => startMember<Job, Report>(program, job).report));
}

/** One thread; `report` rejects when it throws, or ends without a report. */
export function startMember<Job extends object, Report>(
  program: string,
  job: Job,
): { readonly worker: Worker; readonly report: Promise<Report> } {
  const url = new URL(`../../dist/workers/test-threads/${program}.js`, import.meta.url);
  const worker = new Worker(url, { workerData: job });
  const report = new Promise<Report>((resolve, reject) => {
    let posted: { readonly value: Report } | undefined;
    worker.once('message', (value: Report) => {
      posted = { value };
    });
    worker.once('error', reject);
    worker.once('exit', (code) => {
      if (posted === undefined) reject(new Error(`${program} ended with code ${code} and no report`));
      else resolve(posted.value);
    });
  });
  return { worker, report };
}
