import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/maps.ts';

exploreAll('maps', scenarios, { preemptions: 1, most: 300, random: 400, races: 150, pct: 400 });
