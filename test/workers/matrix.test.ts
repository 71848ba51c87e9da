/** The matrix command: what it is told, what it runs where, and what it makes of that. */

import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { EXCEPTIONS, exceptionFor, whyLeftOut } from '../../workers/matrix/exceptions.ts';
import { type MatrixOptions, matrixCommand } from '../../workers/matrix/options.ts';
import { type Outcome, runTests } from '../../workers/matrix/run.ts';
import { RUNTIME_NAMES, type Runtime, type RuntimeName } from '../../workers/matrix/runtimes.ts';
import { SUITES, suiteOf, testFiles } from '../../workers/matrix/suites.ts';
import { describeOutcomes } from '../../workers/matrix/table.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HERE = `node${Number.parseInt(process.versions.node, 10)}` as RuntimeName;

describe('the options', () => {
  /** What the run is told by a command line. */
  async function told(...args: string[]): Promise<MatrixOptions | undefined> {
    let options: MatrixOptions | undefined;
    const command = matrixCommand(async (given) => {
      options = given;
    });
    const silent = { writeErr: () => {}, writeOut: () => {} };
    await command.exitOverride().configureOutput(silent).parseAsync(args, { from: 'user' });
    return options;
  }

  test('are all runtimes and all suites unless told otherwise', async () => {
    expect(await told()).toEqual({ only: RUNTIME_NAMES, suite: SUITES, json: false });
    const some = await told('--only', 'deno,node22', '--suite', 'kills', '--json');
    expect(some).toEqual({ only: ['node22', 'deno'], suite: ['kills'], json: true });
  });

  test.each([
    [['--only', 'node18'], "'node18' is none of node20, node22"],
    [['--only', ''], "'' is none of"],
    [['--suite', 'kills,all'], "'all' is none of conformance"],
    [['--fast'], "unknown option '--fast'"],
    [['node20'], 'too many arguments'],
  ])('%j is refused', async (args, problem) => {
    await expect(told(...args)).rejects.toThrow(problem);
  });

  test('a wrong one is answered with 2, --help with the text', async () => {
    const main = `${ROOT}dist/workers/matrix/main.js`;
    const run = promisify(execFile);
    await expect(run(process.execPath, [main, '--only', 'ie6'])).rejects.toMatchObject({ code: 2 });
    expect((await run(process.execPath, [main, '--help'])).stdout).toContain(
      'Usage: npm run matrix -- [options]',
    );
  });
});

describe('the files', () => {
  test('are those of a suite, without what mocks parts of the library', () => {
    const files = testFiles(ROOT, SUITES);
    expect(files).toContain('test/allocators/conformance.test.ts');
    expect(files).toContain('test/heap/watch.test.ts');
    expect(files).not.toContain('test/sync/unblockable.test.ts');
    expect(files.filter((file) => readFileSync(ROOT + file, 'utf8').includes('vi.mock('))).toEqual([]);
    const bySuite = SUITES.map((suite) => testFiles(ROOT, [suite]));
    expect(bySuite.flat().sort()).toEqual(files);
    for (const each of bySuite) expect(each.length).toBeGreaterThan(3);
  });

  test('belong to the first suite that fits', () => {
    expect(suiteOf('test/heap/watch.test.ts')).toBe('kills');
    expect(suiteOf('test/containers/map-threads.test.ts')).toBe('threads');
    expect(suiteOf('test/containers/map.test.ts')).toBe('containers');
    expect(suiteOf('test/structs/struct.test.ts')).toBe('conformance');
    expect(suiteOf('test/tidy.test.ts')).toBeUndefined();
  });

  test('that exceptions name are there', () => {
    const named = EXCEPTIONS.flatMap(({ files }) => files);
    expect(named.filter((file) => !existsSync(`${ROOT}test/${file}.test.ts`))).toEqual([]);
  });

  test('have an exception where its name and runtime fit', () => {
    const [file, name] = ['test/heap/watch.test.ts', 'a worker > exhaust'];
    expect(exceptionFor('bun', file, name)?.reason).toContain('does not limit');
    expect(exceptionFor('node20', file, name)).toBeUndefined();
    expect(exceptionFor('bun', 'test/heap/reap.test.ts', name)).toBeUndefined();
    expect(whyLeftOut('deno', 'test/threads/pool-deaths.test.ts')).toContain('Deno does not end');
    expect(whyLeftOut('bun', 'test/threads/pool-deaths.test.ts')).toBeUndefined();
  });
});

describe('a run', () => {
  const node: Runtime = { name: HERE, version: process.versions.node, command: [process.execPath] };

  test('counts what passed, by suite, and has the built library tested', async () => {
    const done: number[] = [];
    const files = ['test/memory/layout.test.ts', 'test/heap/attach.test.ts'];
    const outcome = await runTests(ROOT, node, files, (count) => done.push(count));
    expect(outcome.failures).toEqual([]);
    expect(outcome.passed).toMatchObject({ containers: 0, kills: 0, threads: 0 });
    expect(outcome.passed.conformance).toBeGreaterThan(10);
    // The one test that tells the sources from the built files.
    expect(outcome.skips).toMatchObject([{ reason: 'the built library is the other copy itself' }]);
    expect(done.every((count) => count <= 2)).toBe(true);
  });

  test('on another runtime than was asked for is a failure', async () => {
    const outcome = await runTests(ROOT, { ...node, name: 'bun' }, ['test/memory/layout.test.ts'], () => {});
    expect(JSON.stringify(outcome.failures)).toContain(`the tests run on ${HERE} instead of bun`);
  });

  test('in which a process dies or fails tells of it, and what is not touched by that counts', async () => {
    const root = mkdtempSync(join(tmpdir(), 'sabheap-matrix-test-'));
    try {
      for (const each of ['node_modules', 'workers']) symlinkSync(ROOT + each, join(root, each), 'dir');
      mkdirSync(join(root, 'test/memory'), { recursive: true });
      const write = (name: string, body: string): string => {
        const source = `import { test } from 'vitest';\ntest('one', async () => { ${body} });\n`;
        writeFileSync(join(root, `test/memory/${name}.test.ts`), source);
        return `test/memory/${name}.test.ts`;
      };
      const files = [
        write('fine', ''),
        write(
          'dies',
          `await new Promise((go) => setTimeout(go, 100));
           (await import('node:fs')).writeSync(2, 'FATAL ERROR: on purpose\\n');
           process.abort();`,
        ),
        write('rejects', `void Promise.reject(new Error('nobody awaits this'));`),
        write('fails', `throw new Error('a test');`),
      ];
      const outcome = await runTests(root, node, files, () => {});
      expect(outcome.passed.conformance).toBe(2);
      const told = outcome.failures.map(({ file, test, reason }) => `${file} ${test} ${reason}`).sort();
      expect(told).toEqual([
        ' (outside any test) nobody awaits this',
        expect.stringMatching(/^test\/memory\/dies\.test\.ts \(did not end\) .*FATAL ERROR: on purpose/),
        'test/memory/fails.test.ts one a test',
      ]);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }, 600_000);

  test('that does not start is a failure', async () => {
    const broken: Runtime = { ...node, command: ['/no/such/binary'] };
    const { failures } = await runTests(ROOT, broken, ['test/memory/layout.test.ts'], () => {});
    expect(failures).toMatchObject([{ test: '(did not end)', reason: expect.stringContaining('ENOENT') }]);
  });
});

describe('the table', () => {
  const outcome = (name: RuntimeName, part: Partial<Outcome> = {}): Outcome => ({
    runtime: { name, version: '1.2.3', command: [''] },
    seconds: 61.4,
    passed: { conformance: 12_345, containers: 2, threads: 3, kills: 4 },
    failures: [],
    skips: [],
    ...part,
  });

  test('is Markdown', () => {
    const text = describeOutcomes([outcome('node20'), outcome('bun')], 7);
    expect(text.split('\n')).toEqual([
      `7 test files on the built library, ${process.platform} ${process.arch}. Passed tests by suite:`,
      '',
      '| runtime | version | conformance | containers | threads | kills | failed | skipped | seconds |',
      '| ---     | ---     |         --: |        --: |     --: |   --: |    --: |     --: |     --: |',
      '| Node    | 1.2.3   |      12,345 |          2 |       3 |     4 |      0 |       0 |      61 |',
      '| Bun     | 1.2.3   |      12,345 |          2 |       3 |     4 |      0 |       0 |      61 |',
    ]);
  });

  test('is followed by what was skipped, a line for each reason, and by what failed', () => {
    const remark = (file: string, reason: string) => ({ file: `test/${file}.test.ts`, test: 'one', reason });
    const skips = [remark('heap/a', 'no flags'), remark('heap/b', 'no flags')];
    const failures = [remark('heap/c', 'expected 1\nto be 2')];
    const text = describeOutcomes([outcome('bun', { skips }), outcome('deno', { skips, failures })], 3);
    expect(text).toContain('- no flags (bun 2, deno 2; heap/a, heap/b)');
    expect(text).toContain('- deno 1.2.3: heap/c: one\n  expected 1');
  });
});
