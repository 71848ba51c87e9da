import { exploreAll } from './exploring.ts';

exploreAll(
  'allocators',
  [
    'tlsfChurn',
    'tlsfThree',
    'tlsfResize',
    'tlsfRealloc',
    'tlsfSpin',
    'listChurn',
    'listThree',
    'listResize',
    'listRealloc',
    'buddyChurn',
    'buddyThree',
    'buddyResize',
    'buddyRealloc',
    'poolChurn',
    'poolThree',
    'bumpChurn',
    'bumpResize',
    'doubleFree',
    'claiming',
  ],
  { preemptions: 1, most: 1000, random: 1000, races: 200, pct: 1000 },
);
