/** CONTRIBUTING.md names commands, files and layers: each must be there, as it says. */

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LAYERS } from './tidy.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(`${root}/CONTRIBUTING.md`, 'utf8');
const code = [...text.matchAll(/`([^`]+)`/g)].map(([, words]) => words!);

/** Stand for what is to be written. */
const EXAMPLES = ['src/allocators/best-fit.ts'];

test('the commands are there', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
  const named = code.flatMap((words) =>
    [...words.matchAll(/npm (?:run )?([a-z:]+)/g)].map(([, name]) => name!),
  );
  expect(named.length).toBeGreaterThan(8);
  for (const name of named.filter((name) => name !== 'ci')) expect(Object.keys(scripts)).toContain(name);
});

test('the steps of CI are told', () => {
  const steps = readFileSync(`${root}/.ci/run`, 'utf8').matchAll(/^ *(npm (?:run )?[a-z:]+)/gm);
  for (const [, step] of steps) if (step !== 'npm install') expect(code.join(' ')).toContain(step);
});

test('the files are there', () => {
  const paths = code.flatMap((words) =>
    words.split(' ').filter((word) => /^(src|test|bench|workers|examples|\.ci)\//.test(word)),
  );
  expect(paths.length).toBeGreaterThan(10);
  for (const path of paths.filter((path) => !EXAMPLES.includes(path))) {
    expect(existsSync(`${root}/${path}`), path).toBe(true);
  }
  for (const name of code.filter((words) => /^[a-z-]+\.ts$/.test(words))) {
    const folders = ['src', 'src/allocators', 'test/allocators'];
    expect(
      folders.some((folder) => existsSync(`${root}/${folder}/${name}`)),
      name,
    ).toBe(true);
  }
});

test('the layers are those that the tidy test keeps', () => {
  const rows = [...text.matchAll(/^\| `(\w+)` \| ([^|]*)\|/gm)];
  const layers = rows.map(([, folder, others]) => [
    folder,
    [...others!.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  ]);
  expect(Object.fromEntries(layers)).toEqual(LAYERS);
});

test('it is one page', () => {
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(100);
});
