/** All scenarios of the stress run by name. */

import type { Scenario } from './scenario.ts';
import { blocks } from './scenarios/blocks.ts';
import { list, map, text } from './scenarios/collections.ts';
import { mutex, rwLock, semaphore } from './scenarios/locks.ts';
import { crashes, hangs, loses, overwrites } from './scenarios/mutants.ts';
import { arcs, boxes, channel } from './scenarios/queues.ts';

const SCENARIOS = {
  blocks,
  mutex,
  'rw-lock': rwLock,
  semaphore,
  box: boxes,
  arc: arcs,
  channel,
  map,
  vec: list,
  string: text,
};

/** For the tests of the run itself. */
const MUTANTS = {
  'mutant-loses': loses,
  'mutant-overwrites': overwrites,
  'mutant-crashes': crashes,
  'mutant-hangs': hangs,
};

export type ScenarioName = keyof typeof SCENARIOS | keyof typeof MUTANTS;
export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];
export const MUTANT_NAMES = Object.keys(MUTANTS) as ScenarioName[];

/** A scenario, with the handle that its `create` gave taken for what it is. */
export function scenarioNamed(name: ScenarioName): Scenario {
  return { ...SCENARIOS, ...MUTANTS }[name] as Scenario<never> as Scenario;
}
