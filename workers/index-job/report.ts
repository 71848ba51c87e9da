/** The report as text. */

import { MiB } from '../../src/index.ts';
import type { Report, Speed } from './job.ts';

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
    ...(skipped.binary > 0 ? [`${count(skipped.binary)} binary files left out`] : []),
    ...(skipped.unreadable > 0 ? [`${count(skipped.unreadable)} unreadable`] : []),
    ...(skipped.cut ? ['more files left out: this is enough'] : []),
  ];
  const size = `${(bytes / MiB).toFixed(1)} MiB`;
  return [`${count(files)} files, ${size}, ${count(words)} words, on Node ${node}`, ...left].join('; ');
}

/** Start: until every thread is ready. Make: until the main thread has the index. Read: until every thread has read all of it. */
function speeds({ options, runs }: Report): string[] {
  const threads = `${options.threads} ${options.threads === 1 ? 'thread' : 'threads'}`;
  const row = (name: string, { start, make, read, wordsPerSecond }: Speed): string =>
    [
      name.padEnd(28),
      ...[start, make, read, make + read].map((time) => `${time.toFixed(0)} ms`.padStart(9)),
      count(wordsPerSecond).padStart(14),
    ].join('');
  return [
    `${' '.repeat(28)}${['start', 'make', 'read', 'make+read'].map((title) => title.padStart(9)).join('')}       words/s`,
    row(`one shared heap, ${threads}`, runs.shared),
    row(`cloned messages, ${threads}`, runs.messages),
    row('a plain Map, 1 thread', runs.plain),
    'start: until every thread is ready; make: until the main thread has the index; read: until every',
    'thread has read all of it, for which it has to be sent a clone of the index that messages made',
  ];
}

function topWords({ top }: Report): string[] {
  const width = Math.max(...top.map(({ word }) => word.length), 0);
  return top.map(
    ({ word, count: uses, files }) =>
      `  ${word.padEnd(width)} ${count(uses).padStart(9)} times in ${count(files)} files`,
  );
}

/** Two columns. */
function stats({ stats, options }: Report): string[] {
  const cells = Object.entries(stats).map(
    ([name, value]) => `${name.padEnd(17)}${count(value as number).padStart(13)}`,
  );
  const rows = Array.from({ length: Math.ceil(cells.length / 2) }, (_, i) => cells.slice(i * 2, i * 2 + 2));
  return [`heap.stats() of the ${options.allocator} heap:`, ...rows.map((row) => `  ${row.join('    ')}`)];
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
