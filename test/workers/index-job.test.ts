/** The main job from end to end, on a small folder and against a count of its own. */

import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Report } from '../../workers/index-job/job.ts';

const main = fileURLToPath(new URL('../../dist/workers/index-job/main.js', import.meta.url));
const WORDS = 'the heap of all threads holds größe Straße ΔΕΛΤΑ 数据 x86 2026 naïve 𝒜lpha'.split(' ');
let folder: string;
/** Another one, with a file of 20,000 different words. */
let many: string;
/** Path → text, of all text files in the folder. */
const texts = new Map<string, string>();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'index-job-'));
  many = mkdtempSync(join(tmpdir(), 'index-job-'));
  writeFileSync(join(many, 'many.md'), Array.from({ length: 20_000 }, (_, i) => `word${i}`).join(' '));
  for (const name of ['nested/deeper', 'empty', '.hidden'])
    mkdirSync(join(folder, name), { recursive: true });
  const folders = ['', '/nested', '/nested/deeper'];
  for (let i = 0; i < 30; i++)
    addText(`${folders[i % 3]}/file-${i}.${['md', 'txt', 'js'][i % 3]}`, textOf(i));
  addText('/empty.md', '');
  addText('/punctuation.md', '--- *** !!!');
  writeFileSync(join(folder, 'picture.png'), Uint8Array.of(0x89, 0x50, 0, 0, 7));
  writeFileSync(join(folder, '.hidden', 'file.md'), 'never seen');
});

afterAll(() => {
  for (const path of [folder, many]) rmSync(path, { recursive: true, force: true });
});

function addText(path: string, text: string): void {
  writeFileSync(join(folder, path), text);
  texts.set(path, text);
}

/** 50 to 400 words, the same ones for the same seed; some only in this text. */
function textOf(seed: number): string {
  let state = seed + 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const words = Array.from(
    { length: 50 + next(350) },
    () => `${WORDS[next(WORDS.length)]}${[' ', ', ', '\n'][next(3)]}`,
  );
  return `${words.join('')} only${seed}`;
}

/** Counted in another way than the job does. */
function expectedCounts(
  among: Iterable<string> = texts.values(),
): Map<string, { count: number; files: number }> {
  const counts = new Map<string, { count: number; files: number }>();
  for (const text of among) {
    const words = text
      .toLowerCase()
      .split(/[^\p{L}\p{N}]+/u)
      .filter((word) => word !== '');
    for (const word of words) {
      const known = counts.get(word) ?? { count: 0, files: 0 };
      counts.set(word, { count: known.count + 1, files: known.files });
    }
    for (const word of new Set(words)) counts.get(word)!.files++;
  }
  return counts;
}

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...args], { encoding: 'utf8', timeout: 300_000 });
}

function reportOf(...args: string[]): Report {
  const { status, stdout, stderr } = run('--json', ...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout);
}

function expectIndexOf(report: Report, among: Iterable<string> = texts.values()): void {
  const counts = expectedCounts(among);
  const all = [...counts.values()];
  expect(report.words).toBe(all.reduce((sum, { count }) => sum + count, 0));
  expect(report.distinctWords).toBe(counts.size);
  expect(report.postings).toBe(all.reduce((sum, { files }) => sum + files, 0));
  expect(new Map(report.top.map(({ word, ...rest }) => [word, rest]))).toEqual(counts);
  expect(report.checks.filter(({ holds }) => !holds)).toEqual([]);
  expect(report.checks).toHaveLength(7);
  expect(report.largestFree.after).toBe(report.largestFree.before);
}

describe('the index', () => {
  test.each([
    ['tlsf', 1],
    ['tlsf', 4],
    ['buddy', 2],
    ['linked-list', 3],
    ['bump', 4],
  ])('in a %s heap, made by %i threads, is the one expected', (allocator, threads) => {
    const report = reportOf(folder, '--allocator', allocator, '--threads', String(threads), '--top', '1000');
    expectIndexOf(report);
    expect(report.options).toMatchObject({ allocator, threads });
    expect(report.files).toBe(texts.size);
    expect(report.bytes).toBe([...texts.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0));
    expect(report.skipped).toEqual({ binary: 1, unreadable: 0, cut: false });
    // The map and its name, the list of paths and what it is a list of, two channels.
    expect(report.freed.byWorker).toBe(texts.size + 6);
    expect(report.freed.byMain + report.freed.byWorker).toBe(report.stats.liveBlocks);
  });

  test('of named files is that of these files, each counted once', () => {
    const named = ['/file-0.md', '/nested/file-1.txt'];
    const paths = named.map((path) => join(folder, path));
    const report = reportOf(...paths, ...paths, '--top', '1000', '--bytes', '2MiB');
    expect(report.files).toBe(2);
    expectIndexOf(
      report,
      named.map((path) => texts.get(path)!),
    );
  });

  test('top words come in order, as many as asked for', () => {
    const { top } = reportOf(folder, '--top', '3');
    const counts = [...expectedCounts()].sort(
      ([a, { count: m }], [b, { count: n }]) => n - m || (a < b ? -1 : 1),
    );
    expect(top.map(({ word }) => word)).toEqual(counts.slice(0, 3).map(([word]) => word));
    expect(reportOf(folder, '--top', '0').top).toEqual([]);
  });

  test('leaves out what cannot be read, with a count', (context) => {
    const secret = join(folder, 'secret.md');
    writeFileSync(secret, 'not for you');
    chmodSync(secret, 0);
    try {
      const report = reportOf(folder, '--top', '1000');
      // The superuser reads everything.
      if (report.skipped.unreadable === 0) context.skip('this user may read every file');
      expect(report.skipped.unreadable).toBe(1);
      expectIndexOf(report);
    } finally {
      rmSync(secret);
    }
  });
});

describe('the report', () => {
  test('as text shows the words, the times side by side, the heap and the checks', () => {
    const { status, stdout, stderr } = run(folder, '--threads', '2');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain(`${texts.size} files, `);
    expect(stdout).toContain('1 binary left out');
    expect(stdout).toMatch(/one shared heap, 2 threads( +\d+ ms){4} +[\d,]+\n/);
    expect(stdout).toMatch(/cloned messages, 2 threads( +\d+ ms){4} +[\d,]+\n/);
    expect(stdout).toMatch(/a plain Map, 1 thread( +\d+ ms){4} +[\d,]+\n/);
    expect(stdout).toContain('δελτα');
    expect(stdout).toContain('heap.stats() of the tlsf heap');
    expect(stdout).toContain('roots: word index');
    expect(stdout).toContain('largestFree');
    expect(stdout.match(/^ok {4} /gm)).toHaveLength(7);
    expect(stdout).not.toContain('FAILED');
  });

  test('with --help says what there is to say, and does nothing', () => {
    for (const option of ['--help', '-h']) {
      const { status, stdout } = run(option, '/nowhere');
      expect(status).toBe(0);
      for (const word of ['--threads', '--allocator', '--bytes', '--top', '--json', 'paths'])
        expect(stdout).toContain(word);
    }
  });
});

describe('what cannot be', () => {
  /** What was done, with what, and what it came to: 1 for what is not as it has to be, 2 for a wrong command line. */
  const refusals: [string, string[], 1 | 2, RegExp][] = [
    ['a path that does not exist', ['/nowhere/at/all'], 1, /^no such file or folder: \/nowhere\/at\/all$/],
    ['a folder without a text', ['<folder>/empty'], 1, /^no text files in .*empty$/],
    ['a heap below the least', ['<folder>', '--bytes', '1KiB'], 1, /^a heap of 1024 bytes is too small/],
    [
      'a heap too small for the table',
      ['<folder>', '--bytes', '20KiB'],
      1,
      /too small for the index: out of memory/,
    ],
    [
      'a heap too small for the words',
      ['<many>', '--bytes', '256KiB'],
      1,
      /too small for the index: out of memory.*; --bytes makes it larger$/,
    ],
    ['no heap', ['<folder>', '--bytes', '0'], 1, /^byteLength must be an integer from 8/],
    [
      'a size that is none',
      ['<folder>', '--bytes', 'big'],
      2,
      /^option '--bytes <size>' argument 'big' is invalid. It takes a size up to 4GiB, such as 64MiB.$/,
    ],
    ['a size that is too large', ['<folder>', '--bytes', '5GiB'], 2, /It takes a size up to 4GiB/],
    [
      'no threads',
      ['<folder>', '--threads', '0'],
      2,
      /'--threads <number>' argument '0' .* a whole number from 1 to 254.$/,
    ],
    ['too many threads', ['<folder>', '--threads', '255'], 2, /It takes a whole number from 1 to 254/],
    ['a fraction of a thread', ['<folder>', '--threads', '1.5'], 2, /It takes a whole number/],
    [
      'an unknown allocator',
      ['<folder>', '--allocator', 'slab'],
      2,
      /argument 'slab' is invalid. Allowed choices are tlsf, buddy, linked-list, bump.$/,
    ],
    [
      'an unknown option',
      ['<folder>', '--thread'],
      2,
      /^unknown option '--thread'\n\(Did you mean --threads\?\)$/,
    ],
    [
      'an option without its value',
      ['<folder>', '--threads'],
      2,
      /^option '--threads <number>' argument missing$/,
    ],
  ];

  test.each(refusals)('%s', (_, args, code, message) => {
    const { status, stdout, stderr } = run(
      ...args.map((arg) => arg.replace('<folder>', folder).replace('<many>', join(many, 'many.md'))),
    );
    expect(status).toBe(code);
    expect(stdout).toBe('');
    const [, said] =
      /^npm start: (.*?)\n(?:\(npm start -- --help tells what there is\)\n)?$/s.exec(stderr) ?? [];
    expect(said, stderr).toMatch(message);
  });
});
