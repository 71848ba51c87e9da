/** `sabheap doctor`: what this runtime offers, and what each of it means here. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join, sep } from 'node:path';
import { Command, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { GiB, Heap, Memory, MiB, runtimeSupport } from '../../src/index.ts';
import { exitCodes } from '../command-line.ts';
import { UserError } from '../user-error.ts';
import { drawColumns } from './table.ts';
import { tryWorker } from './trial.ts';

/** Something that a runtime has or has not. */
export interface Finding {
  readonly name: string;
  readonly found: string;
  /** `missing`: nothing works without it. `without`: it works, as `means` says. */
  readonly verdict: 'ok' | 'without' | 'missing';
  readonly means: string;
}

/** What `--json` prints. */
export interface Diagnosis {
  readonly sabheap: string;
  readonly platform: string;
  /** Whether nothing that is needed is missing. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

const LEAST_NODE = 20;
const LEAST_PISCINA = 5;
const DEFAULT_HEAP = 64 * MiB;

export function doctorCommand(version: string): CommandUnknownOpts {
  return new Command('doctor')
    .summary('what this runtime offers, and what that means')
    .description(
      'Shows what this runtime offers to a shared heap: it makes one, has a worker thread attach to it, and ends ' +
        'that thread while it holds a lock.',
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', exitCodes('something is missing that is needed'))
    .action(async ({ json }) => {
      const diagnosis = await diagnose(version);
      console.log(json ? JSON.stringify(diagnosis, null, 2) : format(diagnosis));
      const missing = diagnosis.findings.filter(({ verdict }) => verdict === 'missing');
      if (missing.length > 0) throw new UserError(`missing: ${missing.map(({ name }) => name).join(', ')}`);
    });
}

async function diagnose(version: string): Promise<Diagnosis> {
  const offers = [runtime(), sharedMemory(), largestBuffer(), ...features(), processors(), piscina()];
  const findings = [...offers, ...(await trials())];
  return {
    sabheap: version,
    platform: `${process.platform} ${process.arch}`,
    ok: findings.every(({ verdict }) => verdict !== 'missing'),
    findings,
  };
}

function runtime(): Finding {
  const { bun, deno, node, v8 } = process.versions;
  const name = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${node}`;
  const isOld = !deno && !bun && Number.parseInt(node, 10) < LEAST_NODE;
  return {
    name: 'runtime',
    // Bun names one too, for programs that ask; its engine is another.
    found: bun ? name : `${name}, V8 ${v8}`,
    verdict: isOld ? 'missing' : 'ok',
    means: `Node ${LEAST_NODE} and later, Bun and Deno are supported`,
  };
}

function sharedMemory(): Finding {
  const { problem } = runtimeSupport();
  return {
    name: 'shared memory',
    found: problem ?? 'yes, no isolation needed',
    verdict: problem === undefined ? 'ok' : 'missing',
    means: 'all threads see the same bytes; a page has it when it is cross-origin isolated',
  };
}

/** Reserves without touching: pages are committed when they are written. */
function largestBuffer(): Finding {
  let bytes = 4 * GiB;
  while (bytes >= MiB && !canReserve(bytes)) bytes /= 2;
  return {
    name: 'largest buffer',
    found: bytes >= GiB ? `${bytes / GiB} GiB` : bytes >= MiB ? `${bytes / MiB} MiB` : 'none',
    verdict: bytes < DEFAULT_HEAP ? 'missing' : bytes < 4 * GiB ? 'without' : 'ok',
    means: 'so large can a heap be, up to 4 GiB; memory is taken as it is written to',
  };
}

function canReserve(bytes: number): boolean {
  try {
    Memory.create(bytes);
    return true;
  } catch {
    return false;
  }
}

function features(): Finding[] {
  const { mayBlock, waitAsync, pause, dispose } = runtimeSupport();
  const feature = (name: string, has: boolean, means: string): Finding => {
    return { name, found: has ? 'yes' : 'no', verdict: has ? 'ok' : 'without', means };
  };
  return [
    feature(
      'may block',
      mayBlock,
      'a thread that waits for a lock sleeps; without, it takes the async forms',
    ),
    feature('waitAsync', waitAsync, 'the async forms sleep too; without, they look every millisecond'),
    feature('pause', pause, 'spinning is easy on the processor; without, it costs a little more'),
    feature('Symbol.dispose', dispose, '`using` closes what it holds; without, call release() or drop()'),
  ];
}

function processors(): Finding {
  const count = availableParallelism();
  return {
    name: 'processors',
    found: String(count),
    verdict: count > 1 ? 'ok' : 'without',
    means: 'so many threads run at a time; with one they take turns',
  };
}

function piscina(): Finding {
  const version = installedPiscina();
  const isOld = version !== undefined && Number.parseInt(version, 10) < LEAST_PISCINA;
  return {
    name: 'piscina',
    found: version ?? 'not found from here',
    verdict: version === undefined || isOld ? 'without' : 'ok',
    means: `sabheap/piscina needs version ${LEAST_PISCINA} or later; all else does without`,
  };
}

const FOLDER = join('node_modules', 'piscina', sep);

/** The version that a program in the current folder would find. */
function installedPiscina(): string | undefined {
  try {
    const entry = createRequire(join(process.cwd(), 'program.js')).resolve('piscina');
    const root = entry.slice(0, entry.lastIndexOf(FOLDER) + FOLDER.length);
    return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
  } catch {
    return undefined;
  }
}

/** What has to be tried. */
async function trials(): Promise<Finding[]> {
  const worker = { name: 'worker', means: 'a worker thread attaches to a heap by its handle' };
  try {
    const { attachMs, lockMs } = await tryWorker(Heap.create({ byteLength: MiB }));
    const found = `attached after ${attachMs.toFixed(0)} ms`;
    return [{ ...worker, found, verdict: 'ok' }, proofOfDeath(lockMs)];
  } catch (error) {
    return [{ ...worker, found: (error as Error).message, verdict: 'missing' }];
  }
}

function proofOfDeath(lockMs: number | undefined): Finding {
  const name = 'proof of death';
  if (lockMs !== undefined) {
    const found = `seen after ${lockMs.toFixed(0)} ms, without any event`;
    return { name, found, verdict: 'ok', means: "who waits for a dead worker's lock gets on at once" };
  }
  const means = process.versions.deno
    ? "a worker may run on after its 'exit': when one dies with a lock in its hands, make a new heap"
    : "who waits for a dead worker's lock gets on when its 'exit' has come: heap.watch(worker)";
  return { name, found: 'not seen without events', verdict: 'without', means };
}

const MARKS = { ok: 'ok', without: '–', missing: 'MISSING' } as const;

function format({ sabheap, platform, findings }: Diagnosis): string {
  const rows = findings.map(({ name, found, verdict, means }) => [
    MARKS[verdict],
    name,
    `${found}\n${means}`,
  ]);
  return [`sabheap ${sabheap} on ${platform}`, '', drawColumns({ aligned: 'lll', rows })].join('\n');
}
