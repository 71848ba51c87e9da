import { test } from 'vitest';
import { load } from './engine/build.ts';
test('x', async () => {
  let t = performance.now();
  const { engine, copies, sites } = await load('locks');
  console.log('built', performance.now() - t);
  for (const name of Object.keys(copies[0]!.scenarios)) {
    for (const budget of [{ preemptions: 2, most: 20000 }, { random: 20000 }, { races: 5000 }, { pct: 20000 }]) {
      const e = new engine.Explorer(copies, sites, name);
      t = performance.now();
      try {
        const r = e.explore(budget);
        const s = (performance.now() - t) / 1000;
        console.log(name, JSON.stringify(budget), r.schedules, 'longest', r.longest, r.complete, Math.round(r.schedules / s), '/s', [...r.allowed]);
      } catch (error) { console.log(name, String((error as Error).message).slice(0, 3000)); }
    }
  }
});
