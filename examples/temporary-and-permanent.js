/**
 * The hybrid pattern: what a request needs for a moment goes into an arena, what stays into the heap.
 *
 *     node examples/temporary-and-permanent.js        (after npm run build)
 *
 * Each thread has arenas of its own, so no lock is taken for temporary blocks, and all of them go at once,
 * whether the work succeeds or throws.
 */

import { f64, Heap, ref, struct, u32 } from 'sabheap';

const Reading = struct('Reading', { at: f64, value: f64 });
const Summary = struct('Summary', {
  count: u32,
  mean: f64,
  get next() {
    return ref(Summary);
  },
});

const heap = Heap.create();

/** Sorts the readings of one batch in temporary memory, and keeps a summary of them. */
function summarize(batch, previous) {
  return heap.scope((arena) => {
    // Temporary: a thousand structs that die with the scope.
    const readings = batch.map((value, at) => arena.new(Reading, { at, value }));
    readings.sort((a, b) => a.value - b.value);
    const middle = readings.slice(readings.length / 4, -readings.length / 4);
    const mean = middle.reduce((sum, reading) => sum + reading.value, 0) / middle.length;
    // Permanent: allocated in the heap, so it outlives the scope and can go to other threads.
    return heap.new(Summary, { count: batch.length, mean, next: previous });
  });
}

let last = null;
for (let batch = 1; batch <= 3; batch++) {
  last = summarize(
    Array.from({ length: 1000 }, (_, i) => batch * ((i * 7919) % 1000)),
    last,
  );
}
for (let summary = last; summary !== null; summary = summary.next) {
  console.log(`${summary.count} readings, mean of the middle half ${summary.mean}`);
}
console.log(`${heap.stats().liveBlocks} blocks are live: the summaries`);
