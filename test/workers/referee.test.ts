/** Short stress runs on whatever runtime this is, with kills in every way that it knows. */

import { expect, test } from 'vitest';
import type * as Deaths from '../../workers/stress/deaths.ts';
import type { StressOptions } from '../../workers/stress/options.ts';
import type * as Refereeing from '../../workers/stress/referee.ts';
import { SCENARIO_NAMES } from '../../workers/stress/scenarios.ts';
import { SEED } from '../random.ts';

const built = new URL('../../dist/workers/stress/', import.meta.url);
// The built ones: they start workers beside themselves.
const { Referee }: typeof Refereeing = await import(new URL('referee.js', built).href);
const { wayToDie }: typeof Deaths = await import(new URL('deaths.js', built).href);

const options: StressOptions = {
  threads: 3,
  seconds: 2,
  kill: 10,
  kills: 10,
  allocator: 'tlsf',
  cache: true,
  patience: 60,
  only: SCENARIO_NAMES,
  seed: SEED,
  json: false,
};

test('nothing is lost, with and without kills', async () => {
  console.log(`SEED=${SEED}`);
  for (const kill of [0, 10]) {
    const report = await new Referee({ ...options, kill, kills: kill }).run(() => {});
    expect(report.differences).toEqual([]);
    const kills = Object.values(report.kills).reduce((sum, count) => sum + count);
    expect(kills).toBeGreaterThanOrEqual(kill);
    // Some die before they have attached.
    expect(report.reaped).toBeLessThanOrEqual(kills);
    if (kill > 0) expect(report.reaped).toBeGreaterThan(0);
  }
});

test('whatever chance says, there is a way to die that this runtime knows', () => {
  const ways = new Set(Array.from({ length: 100 }, (_, chance) => wayToDie(chance)));
  const { bun, deno } = process.versions;
  const unknown = deno === undefined ? (bun === undefined ? undefined : 'exhausted') : 'terminated';
  const all = ['terminated', 'exited', 'threw', 'exhausted'];
  expect([...ways]).toEqual(all.filter((way) => way !== unknown));
});
