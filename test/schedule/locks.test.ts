import { exploreAll } from './exploring.ts';

exploreAll(
  'locks',
  [
    'parkTwo',
    'parkTwice',
    'parkThree',
    'spinTwo',
    'spinThree',
    'tryAndWait',
    'twoLocks',
    'readAndWrite',
    'writersAndReader',
    'readersAndWriter',
    'onePermit',
    'onePermitThree',
    'manyPermits',
    'addedPermits',
  ],
  { preemptions: 2, most: 2000, random: 1500, races: 300, pct: 1500 },
);
