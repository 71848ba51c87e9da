import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/locks.ts';

exploreAll('locks', scenarios, { preemptions: 2, most: 2000, random: 2500, races: 300, pct: 2500 });
