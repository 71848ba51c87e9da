import { exploreAll } from './exploring.ts';
import * as scenarios from './scenarios/aborts.ts';

exploreAll('aborts', scenarios, { preemptions: 2, most: 600, random: 800, races: 200, pct: 400 });
