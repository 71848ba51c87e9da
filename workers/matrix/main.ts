/**
 * The same tests on every runtime: `npm run matrix`.
 *
 *     install   each runtime from npm
 *     run       its own Vitest over the test files, which load the built library (vitest.config.ts)
 *     print     what passed, what failed, and what is not run there and why
 */

import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { runProgram } from '../command-line.ts';
import { type MatrixOptions, matrixCommand } from './options.ts';
import { type Outcome, runTests } from './run.ts';
import { installRuntime, type Runtime, type RuntimeName } from './runtimes.ts';
import { SUITES, testFiles } from './suites.ts';
import { describeOutcomes } from './table.ts';

// This file runs as dist/workers/matrix/main.js.
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

// Whoever interrupts it ends what it has started, too.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
await runProgram(matrixCommand(runMatrix));

async function runMatrix({ only, suite, json }: MatrixOptions): Promise<void> {
  const files = testFiles(ROOT, suite);
  const outcomes: Outcome[] = [];
  for (const name of only) outcomes.push(await runOn(name, files));
  if (json) console.log(JSON.stringify({ at: new Date().toISOString(), files, outcomes }, undefined, 2));
  else console.log(describeOutcomes(outcomes, files.length));
  if (outcomes.some(({ failures }) => failures.length > 0)) process.exitCode = 1;
}

async function runOn(name: RuntimeName, files: readonly string[]): Promise<Outcome> {
  let runtime: Runtime;
  try {
    runtime = await installRuntime(ROOT, name);
  } catch (error) {
    const none: Runtime = { name, version: '(none)', command: [''] };
    return noOutcome(none, '(install)', (error as Error).message);
  }
  const format = `${name} ${runtime.version} {bar} {value}/{total} files, {duration_formatted}`;
  const bar = new SingleBar({ format, noTTYOutput: true, notTTYSchedule: 10_000 });
  bar.start(files.length, 0);
  try {
    return await runTests(ROOT, runtime, files, (done) => bar.update(done));
  } catch (error) {
    // The others go on.
    return noOutcome(runtime, '(the run)', (error as Error).message);
  } finally {
    bar.stop();
  }
}

function noOutcome(runtime: Runtime, test: string, reason: string): Outcome {
  const passed = Object.fromEntries(SUITES.map((suite) => [suite, 0])) as Outcome['passed'];
  return { runtime, seconds: 0, passed, failures: [{ file: '', test, reason }], skips: [] };
}
