/** The tests on one runtime: a Vitest of its own, which that runtime runs. Its report is read line by line. */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exceptionFor, exceptionsOn, whyLeftOut } from './exceptions.ts';
import type { ReportLine } from './reporter.ts';
import type { Runtime } from './runtimes.ts';
import { SUITES, type Suite, suiteOf } from './suites.ts';

/** A test that failed, or some that were left out for one reason. */
export interface Remark {
  readonly file: string;
  readonly test: string;
  readonly reason: string;
}

/** What came of the tests on one runtime. */
export interface Outcome {
  readonly runtime: Runtime;
  readonly seconds: number;
  readonly passed: Readonly<Record<Suite, number>>;
  readonly failures: readonly Remark[];
  readonly skips: readonly Remark[];
}

/** After how long without a line of its report a run counts as hanging, in ms: longer than a test may take. */
const PATIENCE_MS = 900_000;
const LOOK_EVERY_MS = 500;
/** What Vitest's own end leaves running is ended so much later, in ms. */
const GRACE_MS = 5000;
/** Kept of what the processes say. */
const MOST_COMPLAINTS = 100_000;

/**
 * Runs test files on a runtime.
 *
 * @param root the repository
 * @param files paths from there
 * @param onFile called after each file, with how many are done
 */
export async function runTests(
  root: string,
  runtime: Runtime,
  files: readonly string[],
  onFile: (done: number) => void,
): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'sabheap-matrix-'));
  const report = join(folder, 'report.jsonl');
  closeSync(openSync(report, 'w'));
  const began = performance.now();
  const loaded = files.filter((file) => whyLeftOut(runtime.name, file) === undefined);
  const leftOut = files.flatMap((file) => {
    const reason = whyLeftOut(runtime.name, file);
    return reason === undefined ? [] : [{ file, test: '(the whole file)', reason }];
  });
  try {
    const tell = (done: number): void => onFile(done + leftOut.length);
    // Told of no file, Vitest would run all.
    const problem = loaded.length > 0 ? await runVitest(root, runtime, loaded, report, tell) : undefined;
    const lines = readReport(report);
    const failures = [...failuresOf(lines), ...staleExceptions(runtime, lines)];
    if (problem !== undefined) failures.push(...cutShort(lines, problem));
    const seconds = (performance.now() - began) / 1000;
    const skips = [...leftOut, ...skipsOf(runtime, lines)];
    return { runtime, seconds, passed: countPassed(lines), failures, skips };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Resolves when it has ended: to what was wrong with that, or undefined. */
function runVitest(
  root: string,
  { name, command }: Runtime,
  files: readonly string[],
  report: string,
  onFile: (done: number) => void,
): Promise<string | undefined> {
  const [binary, ...flags] = command;
  const vitest = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--config',
    'workers/matrix/vitest.config.ts',
    ...files,
  ];
  const env = { ...process.env, MATRIX_RUNTIME: name, MATRIX_REPORT: report, NO_COLOR: '1' };
  const child = spawn(binary, [...flags, ...vitest], {
    cwd: root,
    env,
    // A group of its own: what hangs may be a process that Vitest has started.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (text) => {
    complaints = (complaints + text).slice(-MOST_COMPLAINTS);
  });
  const end = (): void => endGroup(child);
  process.on('exit', end);
  return new Promise((resolve) => {
    let [seen, seenAt] = [0, performance.now()];
    let grace: NodeJS.Timeout | undefined;
    const settle = (problem: string | undefined): void => {
      clearInterval(timer);
      clearTimeout(grace);
      process.off('exit', end);
      resolve(problem);
    };
    const timer = setInterval(() => {
      const lines = readReport(report);
      onFile(lines.filter(({ kind }) => kind === 'end').length);
      if (lines.length > seen) [seen, seenAt] = [lines.length, performance.now()];
      if (performance.now() - seenAt < PATIENCE_MS) return;
      end();
      settle(`no sign of life for ${PATIENCE_MS / 1000} s`);
    }, LOOK_EVERY_MS);
    child.on('error', ({ message }) => settle(message));
    child.on('exit', () => {
      grace = setTimeout(end, GRACE_MS);
    });
    // A binary that cannot be started closes too: after its error the report is gone.
    child.on('close', (code, signal) => {
      if (child.pid === undefined || !existsSync(report)) return;
      const lines = readReport(report);
      const ended = lines.filter(({ kind }) => kind === 'end').length;
      const isTold = code === 0 || lines.some(({ kind }) => kind === 'failed');
      if (ended === files.length && isTold) settle(undefined);
      else settle(`ended with ${signal ?? code}: ${lastWords(complaints)}`);
    });
  });
}

/** Ends a process that leads a group, and all others of it. */
function endGroup({ pid }: ChildProcess): void {
  try {
    process.kill(-pid!, 'SIGKILL');
  } catch {
    // There is none any more.
  }
}

/** Of what processes have said: the line on which one of them gave up, else the last. */
function lastWords(complaints: string): string {
  const lines = complaints.split('\n').filter((line) => line.trim() !== '');
  const end = lines.find((line) =>
    /^FATAL ERROR|panicked at|panic:|Segmentation|[Oo]ut of memory/.test(line),
  );
  return (end ?? lines.at(-1) ?? 'it said nothing').trim();
}

function readReport(path: string): ReportLine[] {
  const text = readFileSync(path, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ReportLine);
}

function countPassed(lines: readonly ReportLine[]): Record<Suite, number> {
  const counts = Object.fromEntries(SUITES.map((suite) => [suite, 0])) as Record<Suite, number>;
  for (const { kind, file } of lines) if (kind === 'passed') counts[suiteOf(file)!]++;
  return counts;
}

function failuresOf(lines: readonly ReportLine[]): Remark[] {
  return lines.flatMap((line) => {
    if (line.kind !== 'failed') return [];
    const { file, test, reason = '' } = line;
    // A process of Vitest's that died: the file that it was at says so.
    return file === '' && reason.startsWith('[vitest-pool]') ? [] : [{ file, test, reason }];
  });
}

function skipsOf({ name }: Runtime, lines: readonly ReportLine[]): Remark[] {
  return lines.flatMap((line) => {
    if (line.kind !== 'skipped') return [];
    const { file, test } = line;
    return [{ file, test, reason: exceptionFor(name, file, test)?.reason ?? 'by the test itself' }];
  });
}

/** Exceptions that no test needs of the files that have ended. */
function staleExceptions({ name }: Runtime, lines: readonly ReportLine[]): Remark[] {
  const files = lines.flatMap(({ kind, file }) => (kind === 'end' ? [file] : []));
  const used = new Set(
    lines.flatMap((line) => (line.kind === 'skipped' ? exceptionFor(name, line.file, line.test) : undefined)),
  );
  const stale = exceptionsOn(name).filter((exception) => !used.has(exception));
  return stale
    .filter((exception) => exception.files.every((file) => files.includes(`test/${file}.test.ts`)))
    .map(({ files: [file], tests, reason }) => ({
      file: `test/${file}.test.ts`,
      test: String(tests ?? 'all'),
      reason: `no test fits this exception (${reason})`,
    }));
}

/** The files that were at it when the run was cut short. */
function cutShort(lines: readonly ReportLine[], problem: string): Remark[] {
  const ended = new Set(lines.filter(({ kind }) => kind === 'end').map(({ file }) => file));
  const open = lines.filter(({ kind, file }) => kind === 'begin' && !ended.has(file));
  const files = open.length > 0 ? open.map(({ file }) => file) : [''];
  return files.map((file) => ({ file, test: '(did not end)', reason: problem }));
}
