/**
 * The package's command, as it is shipped: dist/cli, bundled by `npm run build`. What the job and the stress run can
 * be told has tests of its own; these are about the command around them.
 */

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from '@babel/parser';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Heap, MiB, SharedMap, string, struct, u32 } from '../../src/index.ts';
import { saveImage } from '../../src/node/image-file.ts';
import type { Diagnosis } from '../../workers/cli/doctor.ts';
import type { Inspection } from '../../workers/cli/inspect.ts';
import type { Report } from '../../workers/index-job/job.ts';
import type { StressReport } from '../../workers/stress/referee.ts';

const bundle = fileURLToPath(new URL('../../dist/cli', import.meta.url));
const COMMANDS = ['index', 'stress', 'inspect', 'doctor'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sabheap-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command in the folder. `before` is JavaScript that its process runs first. */
function sabheap(args: readonly string[], before = ''): Promise<Ended> {
  const preload = before === '' ? [] : ['--import', `data:text/javascript,${encodeURIComponent(before)}`];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...preload, join(bundle, 'main.js'), ...args], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', NODE_OPTIONS: '' },
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => {
      said.stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      said.stderr += chunk;
    });
    child.once('close', (status) => resolve({ status, ...said }));
  });
}

/** What `--json` prints, and nothing else. */
async function jsonOf<T>(args: readonly string[], code = 0): Promise<T> {
  const { status, stdout, stderr } = await sabheap([...args, '--json']);
  expect(status, stderr).toBe(code);
  return JSON.parse(stdout);
}

const TERMINAL = 'process.stderr.isTTY = true; process.stderr.columns = 100;';

describe('the command line', () => {
  test('--version is that of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(bundle, '../../package.json'), 'utf8'));
    for (const option of ['--version', '-V']) {
      expect(await sabheap([option])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
    }
  });

  test('--help shows the commands and the exit codes', async () => {
    const { status, stdout, stderr } = await sabheap(['--help']);
    expect([status, stderr]).toEqual([0, '']);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    expect(stdout).toContain(
      'Exit codes: 0 all is well; 1 it is not (one line says what); 2 the command line is wrong.',
    );
  });

  test.each([
    ['index', ['paths', 'current folder', '--threads', '--allocator', '--bytes', '--top']],
    [
      'stress',
      ['--threads', '--seconds', '--kill ', '--kills', '--allocator', '--no-cache', '--only', '--seed'],
    ],
    ['inspect', ['file', '--top', 'leaks']],
    ['doctor', ['lock', '1 something is missing that is needed']],
  ])('%s --help shows what it takes', async (command, words) => {
    const { status, stdout, stderr } = await sabheap([command, '--help']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: sabheap ${command} [options]`);
    for (const word of [...words, '--json', '--help', 'Exit codes: 0']) expect(stdout).toContain(word);
    expect((await sabheap(['help', command])).stdout).toBe(stdout);
  });

  test('without a command is wrong, and shows them', async () => {
    const { status, stdout, stderr } = await sabheap([]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: sabheap');
  });

  test.each([
    [['docter'], "unknown command 'docter'\n(Did you mean doctor?)\n(sabheap --help "],
    [['--versoin'], "unknown option '--versoin'\n(Did you mean --version?)\n(sabheap --help "],
    [
      ['index', '--therads', '2'],
      "unknown option '--therads'\n(Did you mean --threads?)\n(sabheap index --help ",
    ],
    [['index', '--bytes', 'big'], "argument 'big' is invalid. It takes a size up to 4GiB, such as 64MiB.\n"],
    [['stress', '--kill', '101'], "argument '101' is invalid. It takes a number from 0 to 100.\n"],
    [['stress', 'now'], "too many arguments for 'stress'."],
    [['inspect'], "missing required argument 'file'\n(sabheap inspect --help "],
    [['doctor', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)\n(sabheap doctor --help "],
  ])('%s is wrong', async (args, message) => {
    const { status, stdout, stderr } = await sabheap(args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sabheap: /);
    expect(stderr).toContain(message);
  });

  test('may be cut short by who reads it', async () => {
    const child = spawn(process.execPath, [join(bundle, 'main.js'), '--help'], { stdio: 'pipe' });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect([status, stderr]).toEqual([0, '']);
  });
});

describe('what is shipped', () => {
  /** What a file imports, `require` of what was bundled included. */
  function importsOf(text: string): string[] {
    const found: string[] = [];
    JSON.stringify(parse(text, { sourceType: 'module' }).program, (_, node) => {
      const source =
        node?.source?.value ?? (node?.callee?.name?.includes('require') && node.arguments[0]?.value);
      if (typeof source === 'string') found.push(source);
      return node;
    });
    return found;
  }

  test("needs Node's modules and the library, and has the licences of the rest", () => {
    const files = readdirSync(bundle);
    const scripts = files.filter((name) => name.endsWith('.js'));
    const imported = new Set(scripts.flatMap((name) => importsOf(readFileSync(join(bundle, name), 'utf8'))));
    expect(imported).toContain('../src/index.js');
    expect(imported).toContain('node:worker_threads');
    for (const name of imported) {
      const isKnown =
        builtinModules.includes(name.replace(/^node:/, '')) ||
        ['../src/index.js', '../src/node/image-file.js'].includes(name) ||
        (name.startsWith('./') && files.includes(name.slice(2)));
      expect(isKnown, name).toBe(true);
    }
    const licences = readFileSync(join(bundle, 'LICENSES.txt'), 'utf8');
    for (const name of ['commander', 'cli-progress', 'cli-table3', 'string-width']) {
      expect(licences).toMatch(new RegExp(`^${name}\n=+\n`, 'm'));
    }
  });
});

describe('index', () => {
  beforeAll(() => {
    for (const name of ['texts/deep', 'texts/node_modules/dependency', 'texts/.hidden', 'empty']) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    writeFileSync(join(folder, 'texts/one.txt'), 'one two two');
    writeFileSync(join(folder, 'texts/deep/two.txt'), 'two');
    writeFileSync(join(folder, 'texts/node_modules/dependency/three.txt'), 'three');
    writeFileSync(join(folder, 'texts/.hidden/four.txt'), 'four');
  });

  const counted = ({ top }: Report): [string, number, number][] =>
    top.map(({ word, count, files }) => [word, count, files]);

  test('of the current folder leaves out what is hidden and the dependencies', async () => {
    const report = await jsonOf<Report>(['index']);
    expect(counted(report)).toEqual([
      ['two', 3, 2],
      ['one', 1, 1],
    ]);
    expect(report.options.paths).toEqual(['.']);
    expect(report.checks.filter(({ holds }) => !holds)).toEqual([]);
    expect(report.checks).toHaveLength(7);
  });

  test('of dependencies that are named has them', async () => {
    const report = await jsonOf<Report>(['index', 'texts/node_modules', '--threads', '3']);
    expect(counted(report)).toEqual([['three', 1, 1]]);
  });

  test('is made by threads as many as asked for, in the heap asked for', async () => {
    const { status, stdout, stderr } = await sabheap([
      'index',
      'texts',
      '--threads',
      '3',
      '--allocator',
      'buddy',
    ]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('one shared heap, 3 threads');
    expect(stdout).toContain('heap.stats() of the buddy heap');
    expect(stdout.match(/^ok {4} /gm)).toHaveLength(7);
  });

  test.each([
    [['nowhere'], 'no such file or folder: nowhere'],
    [['empty'], 'no text files in empty'],
    [['texts', '--bytes', '1KiB'], 'a heap of 1024 bytes is too small'],
    [['texts', '--bytes', '20KiB'], 'is too small for the index'],
  ])('%s ends with 1', async (args, message) => {
    const { status, stdout, stderr } = await sabheap(['index', ...args]);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sabheap: .*\n$/);
    expect(stderr).toContain(message);
  });

  test('shows on a terminal how far it is', async () => {
    const { status, stdout, stderr } = await sabheap(['index', 'texts', '--json'], TERMINAL);
    expect(status).toBe(0);
    expect(() => JSON.parse(stdout)).not.toThrow();
    for (const run of ['one shared heap', 'cloned messages', 'a plain Map']) expect(stderr).toContain(run);
  });
});

describe('stress', () => {
  const short = ['stress', '--seconds', '1', '--threads', '2', '--seed', '5'];

  test('kills threads, and finds all as it has to be', async () => {
    const { status, stdout, stderr } = await sabheap([...short, '--kill', '4', '--kills', '2', '--json']);
    expect(status, stderr).toBe(0);
    const { seed, operations, kills, differences }: StressReport = JSON.parse(stdout);
    expect(differences).toEqual([]);
    expect(seed).toBe(5);
    expect(operations).toBeGreaterThan(0);
    expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2);
    expect(stderr).toMatch(/^2 threads for 1 s on tlsf, seed 5: .*\n$/);
  });

  test('that finds a difference ends with 1, and says how to do the same again', async () => {
    const args = [...short, '--kill', '0', '--only', 'blocks,mutant-loses'];
    const { status, stdout, stderr } = await sabheap(args);
    expect(status, stdout + stderr).toBe(1);
    expect(stdout).toContain('DIFFERENCE: the blocks that are left');
    expect(stderr).toMatch(
      /^again: npx sabheap stress --threads 2 --seconds 1 --kill 0 .* --only blocks,mutant-loses --seed 5$/m,
    );
  });

  test('shows on a terminal how far it is', async () => {
    const { status, stderr } = await sabheap([...short, '--kill', '0', '--seconds', '3'], TERMINAL);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/[123] s {2}\d+ operations/);
  });
});

describe('inspect', () => {
  const Node = struct('InspectNode', { name: string, child: u32 });
  /** Blocks that no root leads to, with what they own. */
  const LOST = 7;

  beforeAll(() => {
    const heap = Heap.create({ byteLength: MiB });
    const leaf = heap.new(Node, { name: 'leaf' });
    heap.roots.set('tree', heap.new(Node, { name: 'root', child: leaf.address }));
    const map = SharedMap.create(heap, string, u32);
    for (let i = 0; i < 100; i++) map.set(`key ${i}`, i);
    heap.roots.set('map', map);
    for (let i = 0; i < LOST; i++) heap.new(Node, { name: `lost ${i}` });
    saveImage(heap, join(folder, 'saved.heap'));
    // A link of a free block, which a use after free has overwritten.
    const freed = heap.alloc(10_000);
    heap.free(freed);
    heap.flush();
    heap.memory.u32.fill(0xdead, freed >>> 2, (freed >>> 2) + 2);
    saveImage(heap, join(folder, 'damaged.heap'));
    heap.detach();
    const image = readFileSync(join(folder, 'saved.heap'));
    writeFileSync(join(folder, 'short.heap'), image.subarray(0, -8));
    image[image.length - 100]! ^= 1;
    writeFileSync(join(folder, 'altered.heap'), image);
    writeFileSync(
      join(folder, 'text.heap'),
      'a text that is long enough for the header of an image, and no image',
    );
  });

  test('shows roots, layouts, what is in use and what is lost', async () => {
    const found = await jsonOf<Inspection>(['inspect', 'saved.heap']);
    expect(found.byteLength).toBe(MiB);
    expect(found.bytes).toBe(readFileSync(join(folder, 'saved.heap')).length);
    expect(found.roots.map(({ name, content }) => [name, content]).sort()).toEqual([
      ['map', 'SharedMap of u32'],
      ['tree', 'struct InspectNode'],
    ]);
    expect(found.layouts.map(({ name }) => name)).toContain('InspectNode');
    const blocks = (groups: Inspection['groups']): Record<string, number> =>
      Object.fromEntries(groups.map(({ content, blocks }) => [content, blocks]));
    expect(blocks(found.groups)).toMatchObject({
      'struct InspectNode': LOST + 2,
      SharedString: LOST + 2,
      'SharedMap of u32': 1,
    });
    expect(blocks(found.leaks)).toEqual({ 'struct InspectNode': LOST, SharedString: LOST });
    expect(found.groups.reduce((sum, group) => sum + group.blocks, 0)).toBe(found.stats.liveBlocks);
    expect(found.leaks[0]!.addresses).toHaveLength(LOST);
    expect(found.picture).toMatch(/^heap [0-9a-f]{16} · 1\.00 MiB reserved/);
  });

  test('shows them to people, as many as asked for', async () => {
    const { status, stdout, stderr } = await sabheap(['inspect', 'saved.heap']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ {2}tree +0x[0-9a-f]{8} +struct InspectNode$/m);
    expect(stdout).toMatch(/^ {2}InspectNode +8 +4 +1 at 0$/m);
    expect(stdout).toMatch(new RegExp(`^Lost: no root leads to ${LOST * 2} blocks of \\d+ bytes:$`, 'm'));
    expect(stdout).toMatch(new RegExp(`^ {2}SharedString +${LOST} `, 'm'));
    const { stdout: less } = await sabheap(['inspect', 'saved.heap', '--top', '1']);
    expect(less).toContain('… and 1 more: --top, --json');
  });

  test.each([
    ['nowhere.heap', 'no such file: nowhere.heap'],
    ['.', 'it is no file'],
    ['text.heap', 'the bytes are no heap image'],
    ['short.heap', 'cut short'],
    ['altered.heap', 'altered'],
    ['damaged.heap', 'heap corrupted at 0x'],
  ])('%s is refused', async (file, message) => {
    const { status, stdout, stderr } = await sabheap(['inspect', file]);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^sabheap: .*\n$/);
    expect(stderr).toContain(message);
  });
});

describe('doctor', () => {
  // A death that a busy machine shows it after 2 s is none that it has seen.
  test('finds what this runtime offers, by trying', { retry: 3 }, async () => {
    const { ok, platform, findings } = await jsonOf<Diagnosis>(['doctor']);
    expect(ok).toBe(true);
    expect(platform).toBe(`${process.platform} ${process.arch}`);
    const byName = new Map(findings.map((finding) => [finding.name, finding]));
    expect(byName.get('runtime')!.found).toMatch(new RegExp(`^Node ${process.versions.node}, V8 `));
    expect(byName.get('pause')!.verdict).toBe('pause' in Atomics ? 'ok' : 'without');
    expect(byName.get('piscina')!.found).toBe('not found from here');
    expect(byName.get('worker')!.found).toMatch(/^attached after \d+ ms$/);
    const isSeen = process.platform === 'linux';
    expect(byName.get('proof of death')!.verdict).toBe(isSeen ? 'ok' : 'without');
    for (const { means } of findings) expect(means.length).toBeGreaterThan(10);
  });

  test('shows it to people', async () => {
    const { status, stdout, stderr } = await sabheap(['doctor']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ {2}ok +shared memory +yes/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  test('finds Piscina where it is installed', async () => {
    const home = join(folder, 'node_modules/piscina');
    mkdirSync(home, { recursive: true });
    try {
      for (const [version, verdict] of [
        ['5.9.1', 'ok'],
        ['4.0.0', 'without'],
      ]) {
        writeFileSync(
          join(home, 'package.json'),
          JSON.stringify({ name: 'piscina', version, main: 'main.js' }),
        );
        writeFileSync(join(home, 'main.js'), '');
        const { findings } = await jsonOf<Diagnosis>(['doctor']);
        expect(findings.find(({ name }) => name === 'piscina')).toMatchObject({ found: version, verdict });
      }
    } finally {
      rmSync(join(folder, 'node_modules'), { recursive: true });
    }
  });

  test('ends with 1 where memory cannot be shared', async () => {
    const { status, stdout, stderr } = await sabheap(
      ['doctor', '--json'],
      'delete globalThis.SharedArrayBuffer;',
    );
    expect(status).toBe(1);
    expect(stderr).toBe('sabheap: missing: shared memory, largest buffer, worker\n');
    const { ok, findings }: Diagnosis = JSON.parse(stdout);
    expect(ok).toBe(false);
    expect(findings.find(({ name }) => name === 'shared memory')!.found).toContain('no SharedArrayBuffer');
  });

  test('says what is not there, and what then', async () => {
    const { status, stdout } = await sabheap(['doctor', '--json'], 'delete Atomics.waitAsync;');
    expect(status).toBe(0);
    const { findings }: Diagnosis = JSON.parse(stdout);
    expect(findings.find(({ name }) => name === 'waitAsync')).toMatchObject({
      found: 'no',
      verdict: 'without',
    });
  });
});
