/** The outcome for people, in Markdown: the README's table is this. */

import CliTable from 'cli-table3';
import type { Outcome, Remark } from './run.ts';
import { SUITES } from './suites.ts';

/** What is printed in the end. */
export function describeOutcomes(outcomes: readonly Outcome[], files: number): string {
  const parts = [
    `${files} test files on the built library, ${process.platform} ${process.arch}. Passed tests by suite:`,
    drawTable(outcomes),
  ];
  const skips = drawSkips(outcomes);
  if (skips.length > 0) parts.push('Skipped:', skips.join('\n'));
  const failures = outcomes.flatMap(drawFailures);
  if (failures.length > 0) parts.push('Failed:', failures.join('\n'));
  return parts.join('\n\n');
}

/** A table that reads well in Markdown and in a terminal. */
function drawTable(outcomes: readonly Outcome[]): string {
  const head = ['runtime', 'version', ...SUITES, 'failed', 'skipped', 'seconds'];
  const table = new CliTable({ colAligns: head.map((_, i) => (i < 2 ? 'left' : 'right')), ...MARKDOWN });
  table.push(head, [...head.map((_, i) => (i < 2 ? '---' : '--:'))]);
  for (const { runtime, passed, failures, skips, seconds } of outcomes) {
    const counts = SUITES.map((suite) => passed[suite]);
    const name = runtime.name.replace(/\d+$/, '');
    table.push([
      name.charAt(0).toUpperCase() + name.slice(1),
      runtime.version,
      ...counts.map(withCommas),
      failures.length,
      skips.length,
      Math.round(seconds),
    ]);
  }
  return table.toString();
}

const MARKDOWN = {
  chars: {
    ...Object.fromEntries(
      ['top', 'bottom', 'mid'].flatMap((side) =>
        ['', '-mid', '-left', '-right'].map((at) => [side + at, '']),
      ),
    ),
    ...{ left: '|', 'left-mid': '', right: '|', 'right-mid': '', middle: '|' },
  },
  style: { head: [], border: [] },
};

/** One line for each reason: how many tests, of which files, where. */
function drawSkips(outcomes: readonly Outcome[]): string[] {
  const byReason = new Map<string, { files: Set<string>; where: Map<string, number> }>();
  for (const { runtime, skips } of outcomes) {
    for (const { file, reason } of skips) {
      const entry = byReason.get(reason) ?? { files: new Set(), where: new Map<string, number>() };
      byReason.set(reason, entry);
      entry.files.add(shortName(file));
      entry.where.set(runtime.name, (entry.where.get(runtime.name) ?? 0) + 1);
    }
  }
  return [...byReason].map(([reason, { files, where }]) => {
    const places = [...where].map(([name, count]) => `${name} ${count}`).join(', ');
    return `- ${reason} (${places}; ${[...files].join(', ')})`;
  });
}

function drawFailures({ runtime, failures }: Outcome): string[] {
  return failures.map(({ file, test, reason }: Remark) => {
    const [first = ''] = reason.split('\n');
    return `- ${runtime.name} ${runtime.version}: ${shortName(file)}: ${test}\n  ${first}`;
  });
}

function shortName(file: string): string {
  return file.replace(/^test\//, '').replace(/\.test\.ts$/, '');
}

function withCommas(count: number): string {
  return count.toLocaleString('en');
}
