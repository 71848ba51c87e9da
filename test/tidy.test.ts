import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as tidy from './tidy.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** A check, files that it has to complain about (each file once), and files that are fine. */
interface Case {
  readonly name: string;
  readonly check: tidy.Check;
  readonly bad: Readonly<Record<string, string>>;
  readonly good?: Readonly<Record<string, string>>;
}

const cases: Case[] = [
  {
    name: 'imports between the folders of src follow the layers',
    check: tidy.importsFollowTheLayers,
    bad: {
      'src/errors.ts': `import { x } from './memory/x.ts';`,
      'src/platform/x.ts': `import { x } from '../memory/x.ts';`,
      'src/memory/x.ts': `import { x } from '../sync/x.ts';`,
      'src/structs/x.ts': `export { x } from '../sync/x.ts';`,
      'src/sync/x.ts': `export * from '../allocators/x.ts';`,
      'src/allocators/x.ts': `import { x } from '../heap/x.ts';`,
      'src/heap/x.ts': `import type { x } from '../containers/x.ts';`,
      'src/heap/entry.ts': `import { x } from '../index.ts';`,
      'src/containers/x.ts': `import { Allocator } from '../allocators/allocator.ts';`,
      'src/channels/x.ts': `import type { x } from '../allocators/tlsf.ts';`,
      'src/threads/x.ts': `const x = await import('../memory/x.ts');`,
      'src/threads/y.ts': `type X = import('../memory/x.ts').X;`,
      'src/index.ts': `import { x } from '../workers/x.ts';`,
    },
    good: {
      'src/errors.ts': `export class X extends Error {}`,
      'src/memory/x.ts': `import { x } from './y.ts'; import { e } from '../errors.ts'; import { t } from '#platform';`,
      'src/allocators/x.ts': `import { x } from '../memory/x.ts'; import { y } from '../sync/y.ts';`,
      'src/containers/x.ts': `import type { Allocator } from '../allocators/allocator.ts';`,
      'src/threads/x.ts': `import { x } from '../heap/x.ts';`,
      'src/index.ts': `export { x } from './heap/x.ts'; // not from '../workers/x.ts'`,
    },
  },
  {
    name: 'the folders of src are layers',
    check: tidy.foldersAreLayers,
    bad: { 'src/misc/x.ts': '' },
    good: { 'src/memory/x.ts': '', 'src/index.ts': '', 'src/errors.ts': '' },
  },
  {
    name: 'workers, benchmarks and examples import the public names',
    check: tidy.programsUseThePublicNames,
    bad: {
      'workers/x.ts': `import { x } from '../src/memory/x.ts';`,
      'bench/x.ts': `import type { x } from '../src/memory/x.ts';`,
      'examples/x.ts': `export * from '../src/heap/heap.ts';`,
    },
    good: {
      'workers/job/x.ts': `import { x } from '../../src/index.ts'; import { y } from './y.ts';`,
      'bench/x.ts': `import { x } from '../src/threads/piscina.ts'; import { Bench } from 'tinybench';`,
    },
  },
  {
    name: 'the library has no runtime dependencies',
    check: tidy.noRuntimeDependencies,
    bad: { 'src/heap/x.ts': `import 'piscina';`, 'src/threads/x.ts': `import 'left-pad';` },
    good: { 'src/threads/x.ts': `import 'piscina'; import 'node:fs';`, 'bench/x.ts': `import 'tinybench';` },
  },
  {
    name: 'the main entry runs in browsers',
    check: tidy.mainEntryRunsInBrowsers,
    bad: {
      'src/index.ts': `import './heap/x.ts'; import './heap/y.ts'; import '#platform'; import 'node:fs';`,
      'src/heap/x.ts': `export { x } from 'node:path';`,
      'src/heap/y.ts': `export const here = process.cwd();`,
      'src/platform/web.ts': `import { x } from 'node:crypto';`,
    },
    good: {
      'src/index.ts': `import '#platform'; import type { X } from 'node:fs'; import type { Y } from './y.ts';`,
      'src/platform/web.ts': `export const pid = globalThis.process?.pid;`,
      'src/platform/node.ts': `import 'node:fs';`,
      'src/y.ts': `import 'node:fs';`,
    },
  },
  {
    name: 'relative imports end in .ts',
    check: tidy.relativeImportsEndInTs,
    bad: { 'src/x.ts': `import './y.js';`, 'test/x.ts': `export * from './y';` },
    good: { 'src/x.ts': `import './y.ts'; import 'z';` },
  },
  {
    name: 'only src/memory/atomics.ts names Atomics',
    check: tidy.onlyTheSeamNamesAtomics,
    bad: {
      'src/sync/x.ts': 'Atomics.load(words, 0);',
      'src/sync/y.ts': 'type A = typeof globalThis.Atomics;',
      'workers/x.ts': `globalThis['Atomics'].load(words, 0);`,
    },
    good: {
      'src/memory/atomics.ts': 'Atomics.load(words, 0);',
      'src/sync/x.ts': '/** Calls `Atomics` twice. */ // Atomics',
    },
  },
  {
    name: 'no DataView, eval or new Function',
    check: tidy.noForbiddenNames,
    bad: {
      'src/memory/x.ts': 'new DataView(buffer);',
      'src/memory/y.ts': `eval('1');`,
      'workers/x.ts': `new Function('return 1');`,
    },
    good: { 'src/memory/x.ts': 'x.eval(); // no DataView', 'test/x.ts': 'new DataView(buffer);' },
  },
  {
    name: 'addresses are shifted with >>>',
    check: tidy.addressesShiftUnsigned,
    bad: { 'src/memory/x.ts': 'u32[address >> 2];', 'src/memory/y.ts': 'address >>= 3;' },
    good: {
      'src/memory/x.ts': 'u32[address >>> 2]; // never >> 2',
      'src/memory/y.ts': '// Signed: the difference may be negative.\nx >> 1;',
    },
  },
  {
    name: 'files are named after what they hold',
    check: tidy.filesSayWhatTheyAre,
    bad: { 'src/memory/utils.ts': '', 'test/helpers.test.ts': '', 'bench/common.ts': '', 'src/types.ts': '' },
    good: { 'src/memory/layout.ts': '', 'test/types/expect.ts': '' },
  },
  {
    name: 'no folder has a barrel',
    check: tidy.noFolderBarrels,
    bad: { 'src/memory/index.ts': '' },
    good: { 'src/index.ts': '' },
  },
  {
    name: 'files have at most 600 lines',
    check: tidy.filesAreShort,
    bad: { 'src/x.ts': 'x;\n'.repeat(601) },
    good: { 'src/x.ts': 'x;\n'.repeat(600) },
  },
  {
    name: 'files of the library open with a comment of at most 30 lines',
    check: tidy.filesOpenWithAComment,
    bad: {
      'src/x.ts': 'export const x = 1; // late',
      'src/y.ts': `/**\n${' *\n'.repeat(29)} */`,
      'src/z.ts': '// line\n'.repeat(31),
    },
    good: { 'src/x.ts': `/**\n${' *\n'.repeat(28)} */`, 'src/y.ts': '// one\nx;', 'test/x.ts': 'x;' },
  },
  {
    name: 'functions have at most 70 lines',
    check: tidy.functionsAreShort,
    bad: {
      'src/x.ts': `function f() {${'\n'.repeat(70)}}`,
      'src/y.ts': `class X { get m() {${'\n'.repeat(70)}} }`,
      'bench/x.ts': `const f = async () => {${'\n'.repeat(70)}};`,
      'workers/x.ts': `const x = { m() {${'\n'.repeat(70)}} };`,
    },
    good: { 'src/x.ts': `function f() {${'\n'.repeat(69)}}`, 'test/x.ts': `f(() => {${'\n'.repeat(90)}});` },
  },
];

function readSources(): tidy.Source[] {
  return ['src', 'workers', 'bench', 'examples', 'test']
    .filter((folder) => existsSync(`${root}/${folder}`))
    .flatMap((folder) =>
      readdirSync(`${root}/${folder}`, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => `${folder}/${name.replaceAll('\\', '/')}`),
    )
    .map((path) => tidy.parseSource(path, readFileSync(`${root}/${path}`, 'utf8')));
}

function parseSnippets(snippets: Readonly<Record<string, string>>): tidy.Source[] {
  return Object.entries(snippets).map(([path, text]) => tidy.parseSource(path, text));
}

describe('the repository', () => {
  const sources = readSources();

  test('is read', () => {
    const paths = sources.map(({ path }) => path);
    expect(paths).toContain('src/index.ts');
    expect(paths).toContain('src/platform/web.ts');
    expect(paths).toContain('test/tidy.test.ts');
  });

  test('leads browsers to the platform that the checks follow', () => {
    const { imports } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
    expect(imports['#platform'].browser).toBe('./dist/src/platform/web.js');
  });

  test.each(cases)('$name', ({ check }) => {
    expect(check(sources)).toEqual([]);
  });
});

describe('the checks can fail', () => {
  test('every check has its case', () => {
    const others: unknown[] = [tidy.parseSource, tidy.importsOf, tidy.LAYERS];
    const checks = Object.values(tidy).filter((value) => !others.includes(value));
    expect(new Set(cases.map(({ check }) => check))).toEqual(new Set(checks));
  });

  test.each(cases)('$name', ({ check, bad, good = {} }) => {
    const complaints = check(parseSnippets(bad));
    const complainedOf = complaints.map((complaint) => complaint.replace(/\.ts:.*$/s, '.ts'));
    expect([...complainedOf].sort(), complaints.join('\n')).toEqual(Object.keys(bad).sort());
    expect(check(parseSnippets(good))).toEqual([]);
  });
});
