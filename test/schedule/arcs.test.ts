import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/arcs.ts';

exploreAll('arcs', scenarios, { preemptions: 1, most: 300, random: 400, races: 150, pct: 400 });
