/**
 * What runs on each runtime: all tests of what the library does that can do without parts of their own in place
 * of the library's (`vi.mock` does not reach into built files).
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A group of test files: one column of the table. */
export type Suite = 'conformance' | 'containers' | 'threads' | 'kills';

/** In the table's order. */
export const SUITES: readonly Suite[] = ['conformance', 'containers', 'threads', 'kills'];

/** The first pattern that fits a file's path under test/ says where it belongs; no pattern: it is not run. */
const PLACES: readonly (readonly [Suite, RegExp])[] = [
  ['kills', /^workers\/referee\.|^heap\/(watch|reap)\.|^containers\/killed-|^threads\/pool-deaths\./],
  [
    'threads',
    /^(threads|platform)\/|^(?!browser)[^/]+\/.*threads\.test|^heap\/(roots-race|hand-off|sharing)\.|racing/,
  ],
  ['containers', /^(containers|channels)\//],
  ['conformance', /^(allocators|memory|structs|sync(?!\/robust-lock-model)|heap|node)\//],
];

/** What reaches into the sources. */
const TAKES_APART = /\bvi\.(do)?[mM]ock\(|\bvi\.resetModules\(|from '\.\/(mortal|killed-at-a-store)/;

/** The suite of a test file, given by its path from the repository's root with forward slashes. */
export function suiteOf(file: string): Suite | undefined {
  const path = file.replace(/^test\//, '');
  return PLACES.find(([, pattern]) => pattern.test(path))?.[0];
}

/** The test files of some suites, as paths from the repository's root. */
export function testFiles(root: string, suites: readonly Suite[]): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((path) => `test/${path.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.test.ts') && suites.includes(suiteOf(file) as Suite))
    .filter((file) => !TAKES_APART.test(readFileSync(join(root, file), 'utf8')))
    .sort();
}
