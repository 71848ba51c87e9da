/**
 * Image: an index of words, built once and kept in a file, and how soon a fresh process can answer from it.
 *
 *     heap     an image: `loadImage`, and the map of the first word
 *     plain    JSON: `JSON.parse`, and the property of the first word
 *
 *     image         in one thread
 *     image-crew    in all threads of a crew: they attach to the heap; each of the others parses for itself
 *
 * With the option `async` the image is loaded by `loadImageAsync`.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { GiB, Heap, SharedMap, string, struct, u32, vec } from '../../src/index.ts';
import { loadImage, loadImageAsync, saveImage } from '../../src/node/image-file.ts';
import { type Job, type Numbers, option } from '../job.ts';
import { Random } from './random.ts';

const CHILD = fileURLToPath(new URL('../child.js', import.meta.url));
const READER = new URL('../../workers/bench/image-reader.js', import.meta.url);
/** Where a fresh process finds the file. */
const FILE = 'SABHEAP_BENCH_IMAGE';

const Word = struct('Word', { count: u32, documents: vec(u32) });
const Index = SharedMap.type(string, Word);

interface Postings {
  count: number;
  documents: number[];
}

/** Word number i, and in which documents it is: few are in many, most in a few. */
function* words(count: number): Generator<[string, Postings]> {
  const random = new Random(2024);
  for (let i = 0; i < count; i++) {
    const length = 2 + Math.min(500, Math.floor(40 / (1 + random.below(40))));
    const documents = Array.from({ length }, () => random.below(1_000_000)).sort((a, b) => a - b);
    yield [`word-${i}`, { count: length * 3, documents }];
  }
}

/** Writes the file. Done in a process of its own: who measures has not run any of it. */
export function buildImage(job: Job): Numbers {
  const count = option(job, 'words', 100_000);
  const path = process.env[FILE]!;
  if (job.subject === 'plain') {
    writeFileSync(path, JSON.stringify(Object.fromEntries(words(count))));
    return {};
  }
  const heap = Heap.create({ byteLength: GiB });
  const index = SharedMap.create(heap, string, Word);
  for (const [word, postings] of words(count)) index.set(word, postings);
  heap.roots.set('index', index);
  saveImage(heap, path);
  return {};
}

/** Has the file made and gives a fresh process of `workload` the path of it. */
function inFreshProcess(job: Job, workload: string): Numbers {
  const folder = mkdtempSync(join(tmpdir(), 'sabheap-bench-'));
  try {
    const env = { ...process.env, [FILE]: join(folder, 'index') };
    const run = (name: string): string =>
      execFileSync(process.execPath, [CHILD, JSON.stringify({ ...job, workload: name })], {
        env,
        encoding: 'utf8',
      });
    run('image-build');
    return JSON.parse(run(workload)) as Numbers;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `ms` until the first answer of a fresh process. */
export function measureImage(job: Job): Numbers {
  return inFreshProcess(job, 'image-read');
}

/** `ms` until all threads of a fresh process have answered. */
export function measureImageCrew(job: Job): Numbers {
  return inFreshProcess(job, 'image-read-crew');
}

export async function readImage(job: Job): Promise<Numbers> {
  const path = process.env[FILE]!;
  const began = performance.now();
  const first = job.subject === 'plain' ? firstOfJson(path) : firstOf(await load(job, path));
  const ms = performance.now() - began;
  if (first === undefined || first <= 0) throw new Error(`wrong first word: ${first}`);
  return { ms };
}

function load(job: Job, path: string): Heap | Promise<Heap> {
  return option(job, 'async', 0) === 0 ? loadImage(path) : loadImageAsync(path);
}

export async function readImageCrew(job: Job): Promise<Numbers> {
  const { subject, threads = 1 } = job;
  const crew = Array.from({ length: threads }, () => new Worker(READER));
  await Promise.all(crew.map((worker) => new Promise((resolve) => worker.once('message', resolve))));
  const path = process.env[FILE]!;
  const began = performance.now();
  const message = subject === 'plain' ? { path } : { heap: (await load(job, path)).handle };
  const answers = await Promise.all(
    crew.map((worker) => {
      worker.postMessage(message);
      return new Promise<number>((resolve) => worker.once('message', resolve));
    }),
  );
  const ms = performance.now() - began;
  await Promise.all(crew.map((worker) => worker.terminate()));
  if (!answers.every((first) => first > 0 && first === answers[0])) throw new Error(`wrong: ${answers}`);
  return { ms };
}

/** How often the first word occurs, as the image says. */
export function firstOf(heap: Heap): number | undefined {
  return heap.roots.open('index', Index)?.with('word-0', (word) => word.count + word.documents.length);
}

/** The same, as the JSON says. */
export function firstOfJson(path: string): number | undefined {
  const index = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Postings>;
  const word = index['word-0'];
  return word && word.count + word.documents.length;
}
