import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/heaps.ts';

exploreAll('heaps', scenarios, { preemptions: 1, most: 200, random: 400, races: 100, pct: 400 });
