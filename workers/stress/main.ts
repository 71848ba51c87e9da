/**
 * `npm run stress`: threads allocate, free and hand off stamped blocks on one heap until the time is up.
 * At the end the contents, the blocks, `verify()` and the oracle are checked: with everything freed, one
 * block of the whole region can be had.
 *
 * Exit code 0 when all held, 1 with the seed when something did not, 2 for a bad option.
 */

import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Heap, type HeapAllocator, type HeapOptions, MiB, NULL } from '../../src/index.ts';
import { freeStamped, Slot } from './stamped.ts';

const USAGE = `Usage: npm run stress -- [options]

  --threads N      worker threads, 1 to 64 (default 4)
  --seconds N      how long (default 10)
  --allocator A    tlsf | linked-list | buddy | bump (default tlsf)
  --no-cache       without thread caches
  --seed N         for the same sizes and choices in each thread (default: by the clock)
  --help           this text
`;

const SLOTS = 1024;

interface Report {
  readonly operations: number;
  readonly failures: number;
}

function options(): { threads: number; seconds: number; seed: number; heap: HeapOptions } {
  const { values } = parseArgs({
    options: {
      threads: { type: 'string', default: '4' },
      seconds: { type: 'string', default: '10' },
      allocator: { type: 'string', default: 'tlsf' },
      'no-cache': { type: 'boolean', default: false },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const number = (name: 'threads' | 'seconds' | 'seed', least: number, most: number): number => {
    const value = Number(values[name]);
    if (value >= least && value <= most) return value;
    throw new RangeError(`--${name} must be a number from ${least} to ${most}, got ${values[name]}`);
  };
  return {
    threads: Math.trunc(number('threads', 1, 64)),
    seconds: number('seconds', 0.1, 86_400),
    seed: Math.trunc(number('seed', 0, 2 ** 31)),
    heap: {
      byteLength: 64 * MiB,
      allocator: values.allocator as HeapAllocator,
      ...(values['no-cache'] ? { cache: false } : {}),
    },
  };
}

async function main(): Promise<void> {
  const { threads, seconds, seed, heap: heapOptions } = options();
  const heap = Heap.create(heapOptions);
  const before = heap.stats().largestFree;
  const slots = Slot.array(heap, SLOTS);
  const deadline = Date.now() + seconds * 1000;
  console.log(`${threads} threads for ${seconds} s, seed ${seed}`);
  const progress = setInterval(() => {
    const { liveBlocks, used, failures } = heap.stats();
    console.log(`${liveBlocks} live blocks, ${(used / MiB).toFixed(1)} MiB, ${failures} times full`);
  }, 2000).unref();

  const workers = Array.from({ length: threads }, (_, index) => {
    const workerData = { heap: heap.handle, slots: slots.handle, seed: seed + index, deadline };
    return new Worker(new URL('./stresser.js', import.meta.url), { workerData });
  });
  const reports = await Promise.all(workers.map(reportOf));
  clearInterval(progress);

  for (let i = 0; i < SLOTS; i++) freeStamped(heap, slots.at(i).block.exchange(NULL));
  heap.verify();
  slots.free();
  heap.flush();
  heap.verify();
  const operations = reports.reduce((sum, report) => sum + report.operations, 0);
  const { liveBlocks, largestFree } = heap.stats();
  console.log(
    `${operations} operations, ${Math.round(operations / seconds)} a second; ${liveBlocks} blocks left`,
  );
  if (liveBlocks !== 0) throw new Error(`${liveBlocks} blocks were lost`);
  if (largestFree !== before) throw new Error(`largestFree was ${before}, now it is ${largestFree}`);
  const whole = heap.alloc(largestFree);
  if (whole === NULL) throw new Error(`no block of ${largestFree} bytes can be had`);
  heap.free(whole);
  console.log('all contents as stamped, nothing lost, the whole region allocatable');
}

function reportOf(worker: Worker): Promise<Report> {
  return new Promise((resolve, reject) => {
    let report: Report | undefined;
    worker.once('message', (message: Report) => {
      report = message;
    });
    worker.once('error', reject);
    worker.once('exit', () =>
      report === undefined ? reject(new Error('a worker ended early')) : resolve(report),
    );
  });
}

try {
  await main();
} catch (error) {
  const badOption =
    error instanceof RangeError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  console.error(badOption ? `${(error as Error).message}\n\n${USAGE}` : error);
  if (!badOption) console.error(`run again with the same options and the seed above`);
  process.exitCode = badOption ? 2 : 1;
}
