/** The examples run and print what they promise. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

function run(name: string): string[] {
  const path = fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
  return execFileSync(process.execPath, [path], { encoding: 'utf8', timeout: 60_000 }).trimEnd().split('\n');
}

it('temporary blocks go with their scope, permanent ones stay', () => {
  expect(run('temporary-and-permanent.js')).toEqual([
    '1000 readings, mean of the middle half 1498.5',
    '1000 readings, mean of the middle half 999',
    '1000 readings, mean of the middle half 499.5',
    '3 blocks are live: the summaries',
  ]);
});
