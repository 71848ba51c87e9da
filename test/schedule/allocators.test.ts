import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/allocators.ts';

exploreAll('allocators', scenarios, { preemptions: 1, most: 500, random: 700, races: 200, pct: 700 });
