/** What is not run where, and why. An exception that fits no test is a failure: it has outlived its reason. */

import type { RuntimeName } from './runtimes.ts';

export interface Exception {
  /** On all of them when there are none. */
  readonly on?: readonly RuntimeName[];
  /** The test files, from test/ on and without their ending. */
  readonly files: readonly string[];
  /** Which of their tests: those whose full name it matches. The whole file is not loaded when there is none. */
  readonly tests?: RegExp;
  readonly reason: string;
}

const LOOP = /its event loop says|a loop that ran|the loop was seen/;

export const EXCEPTIONS: readonly Exception[] = [
  {
    files: ['heap/attach'],
    tests: /from another copy of the library/,
    reason: 'the built library is the other copy itself',
  },
  {
    on: ['bun'],
    files: ['heap/watch', 'threads/pool-deaths'],
    tests: /exhaust|full JavaScript heap/,
    reason: 'Bun does not limit the heap of a worker',
  },
  {
    on: ['bun'],
    files: ['heap/watch'],
    tests: LOOP,
    reason: "Bun tells nothing of a worker's event loop",
  },
  {
    on: ['bun'],
    files: ['heap/watch'],
    tests: /is not kept by the heap/,
    reason: 'Bun takes no flags of V8',
  },
  { on: ['bun'], files: ['containers/leaks'], reason: 'Bun takes no flags of V8' },
  {
    on: ['bun'],
    files: [
      'containers/arc',
      'containers/box',
      'containers/rc',
      'containers/shape',
      'containers/string',
      'containers/vec',
      'structs/view',
      'threads/handles',
      'threads/piscina',
    ],
    tests:
      /be posted|posting a view|stays with its thread|handed off by a move|refuses views|themselves are refused/,
    reason: "Bun's DataCloneError does not say what to do instead",
  },
  {
    on: ['deno'],
    files: ['heap/watch'],
    tests: LOOP,
    reason: "Deno tells nothing of a worker's event loop",
  },
  {
    on: ['deno'],
    files: ['heap/watch', 'heap/poison', 'memory/support', 'platform/node', 'channels/channel'],
    tests:
      /does not keep the process|run at the exit, in order|keeps the event loop alive|headers are broken|tells (of a runtime|why)/,
    reason: 'Deno takes other flags than Node',
  },
  {
    on: ['deno'],
    files: ['heap/watch'],
    tests: /is none is refused|is the id -1/,
    reason: 'Deno leaves a Worker its id when it has ended',
  },
  {
    on: ['deno'],
    files: ['heap/watch'],
    tests: /may be watched twice/,
    reason: "Deno says 'exit' before the thread has ended",
  },
  {
    on: ['deno'],
    files: ['heap/attach'],
    tests: /whichever message its buffer came by/,
    reason: "Deno's parentPort has no close()",
  },
  {
    on: ['deno'],
    files: ['heap/watch', 'heap/hardened', 'containers/killed-holders'],
    tests:
      /> spin|heap was full before|forty short workers|killed while it counts|killed in the middle of their work/,
    reason: 'Deno does not end a thread that is busy when it is terminated',
  },
  {
    on: ['deno'],
    files: ['containers/killed-threads', 'threads/pool-deaths'],
    reason: 'Deno does not end a thread that is busy when it is terminated',
  },
];

/** The exception that fits a test, or undefined. */
export function exceptionFor(runtime: RuntimeName, file: string, test: string): Exception | undefined {
  return exceptionsOn(runtime).find(
    ({ files, tests }) =>
      files.some((name) => file === `test/${name}.test.ts`) && (tests?.test(test) ?? true),
  );
}

/** Why a file is not loaded at all on a runtime, or undefined. */
export function whyLeftOut(runtime: RuntimeName, file: string): string | undefined {
  const exception = exceptionFor(runtime, file, '');
  return exception?.tests === undefined ? exception?.reason : undefined;
}

export function exceptionsOn(runtime: RuntimeName): Exception[] {
  return EXCEPTIONS.filter(({ on }) => on === undefined || on.includes(runtime));
}
