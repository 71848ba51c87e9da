/**
 * Exploring: what the files of this folder share: how many schedules each scenario gets, and a test for each.
 *
 *     SCHEDULES=1000000 npx vitest run test/schedule     so many in all, about; default 200,000
 *     SEED=17                                            the first seed; default: another one in each run
 *     REPLAY='random 17'                                 that schedule and no other: a failure says which it was
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomFrom, SEED } from '../random.ts';
import { type Built, load, type Mutation } from './engine/build.ts';
import type { Budget, Explored, Explorer } from './engine/explore.ts';
import type { Scenario } from './engine/scenario.ts';

const DEFAULT_SCHEDULES = 200_000;
const scale = Number(process.env.SCHEDULES ?? DEFAULT_SCHEDULES) / DEFAULT_SCHEDULES;
const replay = process.env.REPLAY;

/** A budget for 200,000 schedules in all, made larger or smaller. */
function scaled(budget: Budget): Budget {
  const { random = 0, races = 0, pct = 0, most = 0 } = budget;
  const times = (count: number): number => Math.ceil(count * scale);
  return {
    ...budget,
    seed: SEED,
    random: times(random),
    races: times(races),
    pct: times(pct),
    most: times(most),
  };
}

/** The explorer of a scenario. */
export function explorerOf({ engine, copies, sites }: Built, name: string): Explorer {
  return new engine.Explorer(copies, sites, name);
}

/** A test for each scenario that a file exports. */
export function exploreAll(
  file: string,
  scenarios: Readonly<Record<string, Scenario>>,
  budget: Budget,
): void {
  describe(`${file}, SEED=${SEED}`, () => {
    let built: Built;
    let schedules = 0;
    let began = 0;
    beforeAll(async () => {
      built = await load(file);
      began = process.cpuUsage().user;
    });
    afterAll(() => {
      const seconds = (process.cpuUsage().user - began) / 1e6;
      console.log(`${file}: explored ${schedules.toLocaleString('en')} schedules in ${seconds.toFixed(1)} s`);
    });

    test.each(Object.keys(scenarios))('%s', (name) => {
      const explorer = explorerOf(built, name);
      const explored = replay === undefined ? explorer.explore(scaled(budget)) : explorer.again(replay);
      schedules += explored.schedules;
      expect(explored.longest).toBeGreaterThan(1);
    });
  });
}

/** How many random schedules each scenario gets in which a thread dies. */
const KILLS = 100;

/**
 * Tests for each scenario that a file exports: a thread dies at every step, so does who recovers it, and so
 * it does while others are at work.
 *
 * @param pending what is known to fail
 */
export function crashAll(
  file: string,
  scenarios: Readonly<Record<string, Scenario>>,
  pending: readonly string[] = [],
): void {
  describe(`${file}: a thread dies, SEED=${SEED}`, () => {
    let built: Built;
    let deaths = 0;
    beforeAll(async () => {
      built = await load(file);
    });
    afterAll(() => console.log(`${file}: ${deaths.toLocaleString('en')} deaths recovered`));

    for (const [name, { amid }] of Object.entries(scenarios)) {
      const expected = pending.includes(name) ? test.fails : test;
      expected(`${name}: at every step`, () => {
        const explorer = explorerOf(built, name);
        if (replay !== undefined) return void explorer.again(replay);
        const { schedules } = explorer.passed(explorer.crash());
        deaths += schedules;
        expect(schedules).toBeGreaterThan(3);
        // Of the steps that the first thread may die at, some are chosen: all would take hours.
        const random = randomFrom(SEED);
        for (let times = Math.ceil(scale); times > 0; times--) {
          const step = 1 + Math.floor(random() * (schedules - 1));
          deaths += explorer.passed(explorer.crashTwice(step)).schedules;
        }
      });
      if (amid === undefined || pending.includes(name)) continue;
      test(`${name}: while others are at work`, () => {
        const explorer = explorerOf(built, `${name}.amid`);
        if (replay !== undefined) return void explorer.again(replay);
        deaths += explorer.passed(explorer.kill(Math.ceil(KILLS * scale), SEED)).schedules;
      });
    }
  });
}

/** Explores a scenario of sources that were changed. */
export async function exploreMutant(
  file: string,
  name: string,
  budget: Budget,
  ...mutations: Mutation[]
): Promise<Explored> {
  return explorerOf(await load(file, ...mutations), name).search({ seed: 1, ...budget });
}
