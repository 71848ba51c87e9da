/** Writes what happens to a file, a line of JSON each: a run that hangs shows where. */

import { appendFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** A line of the report. Files are paths from the repository's root. */
export type ReportLine =
  | { readonly kind: 'begin' | 'end'; readonly file: string }
  | {
      readonly kind: 'passed' | 'failed' | 'skipped';
      readonly file: string;
      /** Its full name: 'suite > test'. */
      readonly test: string;
      /** Why it failed. */
      readonly reason?: string;
    };

export default class LineReporter implements Reporter {
  readonly #path = process.env.MATRIX_REPORT!;

  onTestModuleStart({ relativeModuleId: file }: TestModule): void {
    this.#write({ kind: 'begin', file });
  }

  onTestCaseResult(test: TestCase): void {
    const { state, errors } = test.result();
    const file = test.module.relativeModuleId;
    if (state === 'passed') this.#write({ kind: state, file, test: test.fullName });
    if (state !== 'failed') return;
    const reason = errors.map(({ message }) => message).join('; ');
    this.#write({ kind: state, file, test: test.fullName, reason });
  }

  onTestModuleEnd(module: TestModule): void {
    const file = module.relativeModuleId;
    // Those that the runner leaves out have no result of their own.
    for (const { fullName } of module.children.allTests('skipped')) {
      this.#write({ kind: 'skipped', file, test: fullName });
    }
    for (const { message } of module.errors()) {
      this.#write({ kind: 'failed', file, test: '(the file itself)', reason: message });
    }
    this.#write({ kind: 'end', file });
  }

  onTestRunEnd(_modules: unknown, errors: readonly { readonly message: string }[]): void {
    for (const { message } of errors) {
      this.#write({ kind: 'failed', file: '', test: '(outside any test)', reason: message });
    }
  }

  #write(line: ReportLine): void {
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }
}
