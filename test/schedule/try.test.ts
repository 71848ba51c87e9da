import { test } from 'vitest';
import { load } from './engine/build.ts';
test('x', async () => {
  let t = performance.now();
  const { engine, copies, sites } = await load(process.env.SC ?? 'locks');
  console.log('built', performance.now() - t);
  for (const name of Object.keys(copies[0]!.scenarios).filter((x) => process.env.ONLY === undefined || x === process.env.ONLY)) {
    for (const budget of [{ preemptions: 2, most: 3000 }, { random: 3000 }, { races: 1000 }, { pct: 3000 }]) {
      const e = new engine.Explorer(copies, sites, name);
      const c0 = process.cpuUsage();
      try {
        const r = e.explore(budget);
        const c = process.cpuUsage(c0); const s = (c.user + c.system) / 1e6;
        console.log(name, JSON.stringify(budget), r.schedules, 'longest', r.longest, r.complete, Math.round(r.schedules / s), '/s', [...r.allowed]);
      } catch (error) { console.log(name, String((error as Error).message).slice(0, 3000)); }
    }
  }
});
