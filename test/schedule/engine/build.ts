/**
 * Build: makes an instrumented copy of the sources and of the scenarios, and loads it.
 *
 *     node_modules/.cache/explored/<hash>/
 *       engine/*.mjs            as it is: one for all threads
 *       0/                      sets up and checks: not instrumented
 *       1/ … 4/                 a copy for each thread: workers share no modules either
 *         src/**.mjs
 *         scenarios/*.mjs
 *
 * A mutation changes the text of a source before, to see that a schedule is found that it breaks.
 */

import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transformWithOxc } from 'vite';
import type { Memory } from '../../../src/memory/memory.ts';
import type * as Explore from './explore.ts';
import { Instrument, type Names, type Node, namesIn, parseFile, SITE_BITS, type Site } from './instrument.ts';
import type { Scenario } from './scenario.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CACHE = join(ROOT, 'node_modules/.cache/explored');
const ENGINE = 'test/schedule/engine';
const SCENARIOS = 'test/schedule/scenarios';
/** Copies of the sources: the thread that sets up, and most threads of a scenario. */
const COPIES = 5;
const DAY_MS = 86_400_000;
/** Not explored: what runs in no thread of a scenario, or has a stand-in. */
const LEFT_OUT = /^src\/(threads|platform|index\.ts)/;
const ATOMICS = 'src/memory/atomics.ts';
const IMPORTS = /(?<=^(?:import|\} from|import .* from|export .* from) ')([.#][^']*)(?=';$)/gm;

/** A change of a source's text. */
export interface Mutation {
  /** Such as `src/sync/lock.ts`. */
  readonly file: string;
  /** Must stand there once. */
  readonly from: string;
  readonly to: string;
}

/** Shorter spinning, so that schedules get to what comes behind it. The text must be there. */
const TUNINGS: readonly Mutation[] = [
  { file: 'src/sync/park-lock.ts', from: 'SPIN_ROUNDS = 8;', to: 'SPIN_ROUNDS = 1;' },
  { file: 'src/sync/spin-lock.ts', from: 'SPIN_ROUNDS = 10;', to: 'SPIN_ROUNDS = 1;' },
  { file: 'src/sync/turn.ts', from: 'SPIN_ROUNDS = 6;', to: 'SPIN_ROUNDS = 1;' },
  { file: 'src/containers/map-core.ts', from: 'LOOKS = 16;', to: 'LOOKS = 2;' },
  { file: 'src/channels/waiting.ts', from: 'LONGEST_SPIN_MS = 0.1;', to: 'LONGEST_SPIN_MS = 0;' },
  { file: 'src/channels/waiting.ts', from: 'LOOK_PAUSES = 8;', to: 'LOOK_PAUSES = 1;' },
];

/** What a build has to offer. */
export interface Built {
  readonly engine: typeof Explore;
  /** For each thread its own module of scenarios. */
  readonly copies: readonly Explore.Copy[];
  /** By file, then by number in it. */
  readonly sites: readonly (readonly Site[])[];
}

/** The scenarios of a file, in the sources as they are or as a mutation leaves them. */
export async function load(scenarios: string, ...mutations: Mutation[]): Promise<Built> {
  const folder = await build(mutations);
  const open = (path: string): Promise<Record<string, unknown>> =>
    import(/* @vite-ignore */ pathToFileURL(join(folder, path)).href);
  const engine = (await open('engine/explore.mjs')) as unknown as typeof Explore;
  const copies: Explore.Copy[] = [];
  for (let copy = 0; copy < COPIES; copy++) {
    const { Memory } = (await open(`${copy}/src/memory/memory.mjs`)) as {
      Memory: typeof import('../../../src/memory/memory.ts').Memory;
    };
    const module = (await open(`${copy}/scenarios/${scenarios}.mjs`)) as Record<string, Scenario>;
    copies.push({ attach: (buffer: SharedArrayBuffer): Memory => Memory.attach(buffer), scenarios: module });
  }
  const sites = JSON.parse(readFileSync(join(folder, 'sites.json'), 'utf8')) as Site[][];
  return { engine, copies, sites };
}

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .sort();
}

/** Makes the copy unless it is there. Returns its folder. */
async function build(mutations: readonly Mutation[]): Promise<string> {
  const texts = new Map(
    [...filesIn('src').filter((path) => !LEFT_OUT.test(path)), ...filesIn(SCENARIOS), ...filesIn(ENGINE)].map(
      (path) => [path, readFileSync(join(ROOT, path), 'utf8')] as const,
    ),
  );
  for (const mutation of [...TUNINGS, ...mutations]) mutate(texts, mutation);
  const hash = createHash('sha256')
    .update(JSON.stringify([...texts]))
    .digest('hex')
    .slice(0, 16);
  const folder = join(CACHE, hash);
  if (existsSync(folder)) return folder;
  forgetOld();
  const partial = `${folder}.${process.pid}`;
  const copied = [...texts.keys()].filter((path) => !path.startsWith(ENGINE));
  const explored = copied.filter((path) => path !== ATOMICS);
  const names = namesIn(explored.map((path) => parsed(texts.get(path)!)));
  const sites: Site[][] = [];
  for (const [index, path] of explored.entries()) {
    const made = rewritten(path, texts.get(path)!, names, index << SITE_BITS);
    sites.push(made.sites);
    write(partial, path, await made.code, threadCopies());
  }
  for (const path of [...copied, ...filesIn(ENGINE)]) {
    const text = texts.get(path)!.replace(IMPORTS, (to) => moved(path, to, false));
    write(partial, path, await stripped(path, text), ['0']);
  }
  writeFileSync(join(partial, 'sites.json'), JSON.stringify(sites));
  writeFileSync(join(partial, 'names.json'), JSON.stringify(spelled(names)));
  try {
    renameSync(partial, folder);
  } catch (error) {
    // Another process was faster.
    if (!existsSync(folder)) throw error;
    rmSync(partial, { recursive: true });
  }
  return folder;
}

interface Rewritten {
  readonly sites: Site[];
  readonly code: Promise<string>;
}

// Of a mutant most files are as they were.
const trees = new Map<string, Node>();
const rewrites = new Map<string, Rewritten>();
const strips = new Map<string, Promise<string>>();

function remember<T>(known: Map<string, T>, key: string, make: () => T): T {
  let made = known.get(key);
  if (made === undefined) {
    made = make();
    known.set(key, made);
  }
  return made;
}

function parsed(text: string): Node {
  return remember(trees, text, () => parseFile(text));
}

function rewritten(path: string, text: string, names: Names, base: number): Rewritten {
  const key = JSON.stringify([base, text, spelled(names)]);
  return remember(rewrites, key, () => {
    const made = new Instrument(path, text, names, base, (to) => moved(path, to, true));
    const code = made.rewrite(parsed(text));
    return { sites: made.sites, code: stripped(path, code) };
  });
}

/** Without the types. */
function stripped(path: string, text: string): Promise<string> {
  return remember(strips, path + text, async () => {
    const { code } = await transformWithOxc(text, path, { target: 'es2022', sourcemap: false });
    return code;
  });
}

function mutate(texts: Map<string, string>, { file, from, to }: Mutation): void {
  const parts = texts.get(file)?.split(from) ?? [];
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times: ${from}`);
  texts.set(file, parts.join(to));
}

/** Where a file's copy lies; of the explored ones below the copy's number. */
function outOf(path: string): string {
  if (path.startsWith(ENGINE)) return `../engine/${posix.basename(path).replace(/\.ts$/, '.mjs')}`;
  return path.replace(SCENARIOS, 'scenarios').replace(/\.ts$/, '.mjs');
}

/** Where an import leads in a copy; in the explored ones to the stand-in for atomic operations. */
function moved(from: string, specifier: string, explored: boolean): string {
  let to = posix.join(posix.dirname(from), specifier);
  if (specifier === '$runtime') to = `${ENGINE}/runtime.ts`;
  else if (specifier === '#platform') to = `${ENGINE}/platform.ts`;
  else if (to === ATOMICS && explored) to = `${ENGINE}/atomics.ts`;
  return relative(dirname(outOf(from)), outOf(to)).replace(/^(?!\.)/, './');
}

function threadCopies(): string[] {
  return Array.from({ length: COPIES - 1 }, (_, i) => String(i + 1));
}

function write(folder: string, path: string, code: string, copies: readonly string[]): void {
  for (const copy of copies) {
    const to = join(folder, copy, outOf(path));
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, code);
  }
}

function spelled({ explored, getters }: Names): object {
  return { explored: [...explored].sort(), getters: [...getters].sort() };
}

function forgetOld(): void {
  mkdirSync(CACHE, { recursive: true });
  for (const name of readdirSync(CACHE)) {
    const path = join(CACHE, name);
    if (Date.now() - statSync(path).mtimeMs > DAY_MS) rmSync(path, { recursive: true, force: true });
  }
}
