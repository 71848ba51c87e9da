/** The examples run and print what they promise. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

function run(name: string): string[] {
  const path = fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
  return execFileSync(process.execPath, [path], { encoding: 'utf8', timeout: 300_000 }).trimEnd().split('\n');
}

it('temporary blocks go with their scope, permanent ones stay', () => {
  expect(run('temporary-and-permanent.js')).toEqual([
    '1000 readings, mean of the middle half 1498.5',
    '1000 readings, mean of the middle half 999',
    '1000 readings, mean of the middle half 499.5',
    '3 blocks are live: the summaries',
  ]);
});

it('a pool shares a cache: what one worker has worked out, the others find', () => {
  expect(run('pool-cache.js')).toEqual([
    '2000 answers, 49 in the cache',
    '17! = not asked for, 16! = 20922789888000',
    'few were worked out',
    '0 blocks are live',
  ]);
});

it('orders go through a pipeline of threads without a copy', () => {
  expect(run('pipeline.js')).toEqual([
    'customer-0 996',
    'customer-1 1001.5',
    'customer-2 1004.5',
    'customer-3 997.5',
    'customer-4 1000.5',
    'customer-5 1003.5',
    'customer-6 996.5',
    '0 blocks are live',
  ]);
});

it('four threads move the bodies of one array in step', () => {
  expect(run('n-body.js')).toEqual([
    '400 bodies, 20 steps, 4 threads',
    'momentum kept: true',
    'the ring draws together: true',
    '0 blocks are live',
  ]);
});

it('a fresh process answers from an index that another one has built', () => {
  expect(run('image.js')).toEqual([
    '25 lists are kept in a file',
    '7 divides 14285 numbers, the last of them 99995',
    '11 divides 9090 numbers, the last of them 99990',
    '13 divides 7692 numbers, the last of them 99996',
  ]);
});
