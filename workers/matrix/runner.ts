/** Vitest's runner, which leaves out what is excepted on this runtime, and sees to it that this is the runtime. */

import type { RunnerTask } from 'vitest';
import { TestRunner } from 'vitest';
import { exceptionFor } from './exceptions.ts';
import type { RuntimeName } from './runtimes.ts';

export default class MatrixRunner extends TestRunner {
  readonly #runtime = wantedRuntime();

  override async onBeforeRunTask(test: RunnerTask): Promise<void> {
    if (exceptionFor(this.#runtime, test.file.name, fullNameOf(test)) !== undefined) {
      test.mode = 'skip';
      test.result = { state: 'skip' };
    }
    await super.onBeforeRunTask(test);
  }
}

/** Vitest starts processes of its own for the tests: they must run on what was asked for. */
function wantedRuntime(): RuntimeName {
  const wanted = process.env.MATRIX_RUNTIME as RuntimeName;
  const { bun, deno, node } = process.versions;
  const kind = bun !== undefined ? 'bun' : deno !== undefined ? 'deno' : `node${Number.parseInt(node, 10)}`;
  if (kind !== wanted) throw new Error(`the tests run on ${kind} instead of ${wanted}`);
  return wanted;
}

/** As reporters give it: 'suite > suite > test'. */
function fullNameOf({ name, suite }: RunnerTask): string {
  return suite === undefined ? name : `${fullNameOf(suite)} > ${name}`;
}
