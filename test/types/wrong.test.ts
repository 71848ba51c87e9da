import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

function tsc(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '--pretty', 'false', ...args],
    { cwd: root, encoding: 'utf8' },
  );
  return { status, output: stdout + stderr };
}

test('a wrong type test fails, each of its claims with the error that belongs to it', () => {
  const { status, output } = tsc('-p', 'test/types/tsconfig.wrong.json');
  const errors = output
    .split('\n')
    .filter((line) => line.includes('wrong.ts('))
    .map((line) => line.replace(/^.*error (TS\d+): .*$/, '$1'));
  expect(errors, output).toEqual(['TS2344', 'TS2578', 'TS2322']);
  expect(status).not.toBe(0);
});

test('every type test is among the files that the check compiles', () => {
  const { output } = tsc('-p', 'tsconfig.test.json', '--listFilesOnly');
  const typeTests = readdirSync(`${root}/test`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test-d.ts'))
    .map((name) => `/test/${name.replaceAll('\\', '/')}`);
  expect(typeTests.length).toBeGreaterThan(0);
  const compiled = output.split('\n').map((line) => line.trim().replaceAll('\\', '/'));
  for (const name of typeTests)
    expect(
      compiled.some((line) => line.endsWith(name)),
      name,
    ).toBe(true);
});
