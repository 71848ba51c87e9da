import { test } from 'vitest';
import { load } from './engine/build.ts';
test('x', async () => {
  const file = process.env.SC ?? 'locks';
  const { engine, copies, sites } = await load(file);
  for (const name of Object.keys(copies[0]!.scenarios).filter((x) => process.env.ONLY === undefined || x.match(process.env.ONLY))) {
    for (const budget of process.env.RACES ? [{races: 1000}] : [{ preemptions: 1, most: 1000 }, { random: 1000 }, { races: 200 }, { pct: 1000 }]) {
      const e = new engine.Explorer(copies, sites, name);
      const races = new Set<string>();
      if (process.env.RACES) (e as any).raced = (f: number, s: number) => { const [a, b] = [sites[f]!, sites[s]!]; if (!(e as any).scenario.races?.some((x: any) => (x.between.includes(a.name) && (x.and ?? x.between).includes(b.name)) || (x.between.includes(b.name) && (x.and ?? x.between).includes(a.name)))) races.add([`${a.name} ${a.text}`, `${b.name} ${b.text}`].sort().join('   ////   ')); };
      const c0 = process.cpuUsage();
      try {
        const r = e.explore(budget);
        const c = process.cpuUsage(c0); const s = (c.user + c.system) / 1e6;
        console.log(name, JSON.stringify(budget), r.schedules, 'longest', r.longest, r.complete, Math.round(r.schedules / s), '/s', [...r.allowed]);
      } catch (error) { console.log(name, String((error as Error).message).slice(0, 3000)); }
      if (races.size) console.log([...races].sort().join('\n'));
    }
  }
}, 600000);
