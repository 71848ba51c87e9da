import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/channels.ts';

exploreAll('channels', scenarios, { preemptions: 2, most: 600, random: 600, races: 200, pct: 600 });
