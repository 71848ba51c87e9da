/** The report as text, or as JSON. */

import { MiB } from '../../src/index.ts';
import { UserError } from '../user-error.ts';
import type { Crews } from './crew.ts';
import { type Report, runJob, type Speed } from './job.ts';
import type { JobOptions } from './options.ts';

/**
 * Runs the job and prints what it comes to.
 *
 * @throws UserError when a check fails, or the user has asked for what cannot be
 */
export async function printJob(options: JobOptions, crews: Crews): Promise<void> {
  const report = await runJob(options, crews);
  console.log(options.json ? JSON.stringify(report, null, 2) : formatReport(report));
  const failures = failuresOf(report);
  if (failures.length > 0) throw new UserError(`failed: ${failures.join('; ')}`);
}

/** The claims that do not hold. */
export function failuresOf({ checks }: Report): string[] {
  return checks.filter(({ holds }) => !holds).map(({ claim }) => `not so: ${claim}`);
}

/** For people. */
export function formatReport(report: Report): string {
  const { options, picture, freed, checks } = report;
  return [
    input(report),
    '',
    ...speeds(report),
    '',
    `${count(report.distinctWords)} words in ${count(report.postings)} postings${options.top > 0 ? '; the most frequent:' : ''}`,
    ...topWords(report),
    '',
    ...stats(report),
    '',
    picture,
    '',
    `Then the main thread freed ${count(freed.byMain)} blocks that workers had allocated, ` +
      `and a worker ${count(freed.byWorker)} that the main thread had.`,
    `largestFree ${count(report.largestFree.before)} before, ${count(report.largestFree.after)} after`,
    '',
    ...checks.map(({ claim, holds }) => `${holds ? 'ok    ' : 'FAILED'} ${claim}`),
  ].join('\n');
}

function input({ files, bytes, skipped, words, node }: Report): string {
  const left = [
    ...(skipped.binary > 0 ? [`${count(skipped.binary)} binary left out`] : []),
    ...(skipped.unreadable > 0 ? [`${count(skipped.unreadable)} unreadable`] : []),
    ...(skipped.cut ? ['more files left out: this is enough'] : []),
  ];
  const size = `${(bytes / MiB).toFixed(1)} MiB`;
  return [`${count(files)} files, ${size}, ${count(words)} words, on Node ${node}`, ...left].join('; ');
}

function speeds({ options, runs }: Report): string[] {
  const threads = `${options.threads} ${options.threads === 1 ? 'thread' : 'threads'}`;
  const row = (name: string, { start, make, read, wordsPerSecond }: Speed): string =>
    columns(name, [start, make, read, make + read].map(milliseconds), count(wordsPerSecond));
  return [
    columns('', ['start', 'make', 'read', 'make + read'], 'words/s'),
    row(`one shared heap, ${threads}`, runs.shared),
    row(`cloned messages, ${threads}`, runs.messages),
    row('a plain Map, 1 thread', runs.plain),
    '',
    'start: until every thread is ready. make: until the main thread has the index. read: until every',
    'thread has read the whole index, for which the one made of messages has to be cloned once more.',
  ];
}

function columns(name: string, times: string[], rate: string): string {
  return name.padEnd(28) + times.map((time) => time.padStart(12)).join('') + rate.padStart(14);
}

function milliseconds(time: number): string {
  return `${time.toFixed(0)} ms`;
}

function topWords({ top }: Report): string[] {
  const width = Math.max(...top.map(({ word }) => word.length), 0);
  return top.map(
    ({ word, count: uses, files }) =>
      `  ${word.padEnd(width)} ${count(uses).padStart(9)} times in ${count(files)} ${files === 1 ? 'file' : 'files'}`,
  );
}

/** These tell of the main thread's cache alone, which has little to do here. */
const OF_ONE_THREAD = ['refills', 'flushes', 'cacheHits'];

/** Two columns. */
function stats({ stats, options }: Report): string[] {
  const cells = Object.entries(stats)
    .filter(([name]) => !OF_ONE_THREAD.includes(name))
    .map(([name, value]) => `${name.padEnd(17)}${count(value as number).padStart(13)}`);
  const rows = Array.from({ length: Math.ceil(cells.length / 2) }, (_, i) => cells.slice(i * 2, i * 2 + 2));
  return [`heap.stats() of the ${options.allocator} heap:`, ...rows.map((row) => `  ${row.join('    ')}`)];
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
