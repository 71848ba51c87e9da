/**
 * The package as its users get it: packed, installed into an empty folder outside of the repository, and used there.
 * Run by `npm run package`, which builds first; needs npm's registry.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Consumer, ROOT, runTool, Shop } from './consumer.ts';

let shop: Shop;
/** Has the package and nothing else. */
let bare: Consumer;
/** Has Node's types and Piscina too. */
let typed: Consumer;
/** Has the oldest TypeScript that the declarations are for. */
let oldest: Consumer;
beforeAll(() => {
  shop = new Shop();
  bare = shop.consumer('bare');
  typed = shop.consumer('typed', '@types/node@20', 'piscina@5');
  oldest = shop.consumer('oldest', 'typescript@5.9');
});
afterAll(() => shop.close());

/** Every file of the installed package. */
function filesOf(consumer: Consumer): string[] {
  const folder = consumer.path('node_modules/sabheap');
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** The files of the README's first example. */
function firstExample(): Map<string, string> {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const fences = [...readme.matchAll(/^```js\n\/\/ (\S+)\.js\n([\s\S]*?)^```$/gm)].slice(0, 3);
  return new Map(fences.map(([, name, code]) => [name!, code!]));
}

describe('the files', () => {
  test('are the built library, its sources and what is said about it', () => {
    const names = new Set(
      filesOf(bare).map((path) => relative(bare.path('node_modules/sabheap'), path).split('/')[0]),
    );
    expect([...names].sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist',
      'package.json',
      'src',
    ]);
    expect(existsSync(bare.path('node_modules/sabheap/dist/bench'))).toBe(false);
    expect(readdirSync(bare.path('node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
      'sabheap',
    ]);
  });

  test('maps of code and of declarations lead to sources that are there', () => {
    const files = filesOf(bare);
    // The command line is bundled: nobody imports it.
    const command = join(bare.path('node_modules/sabheap'), 'dist/cli');
    const built = files.filter((path) => /\.(js|d\.ts)$/.test(path) && !path.startsWith(command));
    expect(built.length).toBeGreaterThan(100);
    for (const path of built) {
      const map = `${path}.map`;
      expect(readFileSync(path, 'utf8')).toContain(`sourceMappingURL=${map.split('/').at(-1)}`);
      const { sources, sourceRoot } = JSON.parse(readFileSync(map, 'utf8'));
      expect(sources).toHaveLength(1);
      const source = resolve(dirname(path), sourceRoot ?? '', sources[0]);
      expect(files, `${path} comes of ${source}`).toContain(source);
    }
  });
});

describe("the README's first example", () => {
  test('runs as JavaScript', () => {
    const example = firstExample();
    expect([...example.keys()]).toEqual(['point', 'main', 'worker']);
    for (const [name, code] of example) bare.write(`js/${name}.js`, code);
    expect(bare.node('js/main.js')).toEqual({ status: 0, output: '42 1\n', complaints: '' });
  });

  test('compiles as TypeScript, and runs', () => {
    for (const [name, code] of firstExample()) {
      // A root may be missing: TypeScript wants to hear that it is there.
      const sure = code.replace("heap.roots.open('point', Point)", '$&!');
      expect(sure !== code).toBe(name === 'worker');
      typed.write(`ts/${name}.ts`, sure);
    }
    const options = { ...STRICT, module: 'nodenext', types: ['node'], outDir: 'built', rootDir: '.' };
    typed.write('ts/tsconfig.json', JSON.stringify({ compilerOptions: options }));
    expect(runTool('typescript/bin/tsc', ['-p', 'ts'], typed.folder)).toEqual({
      status: 0,
      output: '',
      complaints: '',
    });
    expect(typed.node('ts/built/main.js')).toEqual({ status: 0, output: '42 1\n', complaints: '' });
  });

  // Node 20 cannot, and has no such feature.
  test.runIf('typescript' in process.features && process.features.typescript)(
    'runs as TypeScript, as it stands',
    () => {
      for (const [name, code] of firstExample()) {
        bare.write(`stripped/${name}.ts`, code.replaceAll(/(?<='\.\/\w+)\.js(?=')/g, '.ts'));
      }
      const { status, output } = bare.node('stripped/main.ts');
      expect([status, output]).toEqual([0, '42 1\n']);
    },
  );
});

const STRICT = {
  strict: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  target: 'es2022',
  lib: ['es2022'],
};

/** A program that touches all of the entries that a consumer can have. */
const PROGRAM = `
import { Box, Channel, f64, Heap, Mutex, SharedMap, string, struct, u32, vec } from 'sabheap';
import { loadImage, saveImage } from 'sabheap/node';
const Person = struct('Person', { name: string, scores: vec(f64), get next() { return vec(Person); } });
using heap: Heap = loadImage('there.heap', { byteLength: 2 ** 20 });
const person = heap.new(Person, { name: 'Ada', scores: [1, 2] });
const first: number | undefined = person.scores.at(0);
const map = SharedMap.create(heap, string, u32);
const count: number | undefined = map.get('key');
const box = Box.create(heap, Person, { name: 'Ada' });
const channel = Channel.create(heap, Person, { capacity: 4 });
const sent: Promise<void> = channel.sendAsync({ name: 'Ada' }).then(() => {});
Mutex.create(heap, u32, 1).with((cell) => { cell.value += 1; });
saveImage(heap, 'there.heap');
export { box, count, first, sent };
`;

describe('the declarations', () => {
  const resolutions = [
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ];
  for (const version of ['5.9', 'current']) {
    for (const [resolution, module] of resolutions) {
      test.each([
        ["without Node's types", 'bare', [], ''],
        [
          "with Node's types and Piscina",
          'typed',
          ['node'],
          "import { createHeapPool } from 'sabheap/piscina';\n",
        ],
      ])(`TypeScript ${version}, ${resolution}, %s`, (_, who, types, more) => {
        const consumer = who === 'bare' ? bare : typed;
        const folder = `types-${version}-${resolution}`;
        consumer.write(`${folder}/main.ts`, `${more}${PROGRAM}${more && 'export { createHeapPool };'}`);
        const lib = ['es2022', 'esnext.disposable'];
        const options = { ...STRICT, lib, module, moduleResolution: resolution, types, noEmit: true };
        consumer.write(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: options }));
        const found =
          version === '5.9'
            ? consumer.node(oldest.path('node_modules/typescript/bin/tsc'), '-p', folder)
            : runTool('typescript/bin/tsc', ['-p', folder], consumer.folder);
        expect(found).toEqual({ status: 0, output: '', complaints: '' });
      });
    }
  }

  test('a mistake is one', () => {
    bare.write('wrong/main.ts', `${PROGRAM}const wrong: string = map.get('key');`);
    const lib = ['es2022', 'esnext.disposable'];
    const options = { ...STRICT, lib, module: 'nodenext', types: [], noEmit: true };
    bare.write('wrong/tsconfig.json', JSON.stringify({ compilerOptions: options }));
    const { status, output } = runTool('typescript/bin/tsc', ['-p', 'wrong'], bare.folder);
    expect(status).not.toBe(0);
    expect(
      output
        .trim()
        .split('\n')
        .filter((line) => line.includes('error')),
    ).toEqual([expect.stringContaining("Type 'number | undefined' is not assignable to type 'string'")]);
  });
});

describe('the command', () => {
  // Without Piscina, or anything else.
  test('doctor', () => {
    const { status, output, complaints } = bare.npx('sabheap', 'doctor', '--json');
    expect([status, complaints]).toEqual([0, '']);
    const { ok, findings } = JSON.parse(output);
    expect(ok).toBe(true);
    expect(findings).toContainEqual(
      expect.objectContaining({ name: 'piscina', found: 'not found from here', verdict: 'without' }),
    );
    const found = typed.npx('sabheap', 'doctor', '--json');
    expect(JSON.parse(found.output).findings).toContainEqual(
      expect.objectContaining({ name: 'piscina', found: expect.stringMatching(/^5\./), verdict: 'ok' }),
    );
  });

  test('index', () => {
    bare.write('texts/one.txt', 'one two two');
    const { status, output, complaints } = bare.npx('sabheap', 'index', 'texts');
    expect([status, complaints]).toEqual([0, '']);
    expect(output).toMatch(/^ {2}two +2 times in 1 file$/m);
    expect(output.match(/^ok {4} /gm)).toHaveLength(7);
  });

  test('stress', () => {
    const { status, output, complaints } = bare.npx('sabheap', 'stress', '--seconds', '2', '--kill', '3');
    expect(status, complaints).toBe(0);
    expect(output).toMatch(/^\d+ kills: /m);
    expect(output).toContain('the whole region allocatable');
  });

  test('inspect', () => {
    bare.eval(
      "import { Heap, MiB, SharedMap, string, u32 } from 'sabheap';",
      "import { saveImage } from 'sabheap/node';",
      'const heap = Heap.create({ byteLength: MiB });',
      "heap.roots.set('counts', SharedMap.create(heap, string, u32));",
      'heap.alloc(100);',
      "saveImage(heap, 'counts.heap');",
    );
    const { status, output, complaints } = bare.npx('sabheap', 'inspect', 'counts.heap');
    expect([status, complaints]).toEqual([0, '']);
    expect(output).toMatch(/^ {2}counts +0x[0-9a-f]{8} +SharedMap of u32$/m);
    expect(output).toMatch(/^Lost: no root leads to 1 block of 112 bytes:$/m);
  });

  test('wrong', () => {
    const { status, output, complaints } = bare.npx('sabheap', 'inspekt', 'counts.heap');
    expect([status, output]).toEqual([2, '']);
    expect(complaints).toContain('(Did you mean inspect?)');
  });
});

describe('the tools of the trade', () => {
  test('publint has nothing to say', () => {
    const { status, output } = runTool('publint/src/cli.js', ['run', shop.file, '--strict'], shop.folder);
    expect(output).toContain('All good!');
    expect(status).toBe(0);
  });

  test('neither have are-the-types-wrong', () => {
    const args = [shop.file, '--profile', 'esm-only', '--no-emoji'];
    const { status, output } = runTool('@arethetypeswrong/cli/dist/index.js', args, shop.folder);
    for (const entry of ['sabheap', 'sabheap/node', 'sabheap/piscina']) {
      expect(output).toMatch(new RegExp(`"${entry}" +│ OK \\(ESM\\) +│ OK +│`));
    }
    expect(status, output).toBe(0);
  });
});

/** Bundles lines of JavaScript with what they import of the installed package. */
async function bundle(platform: 'node' | 'browser', contents: string): Promise<string> {
  const { outputFiles, warnings } = await build({
    stdin: { contents, resolveDir: bare.folder },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    ...{ platform, target: 'es2022', logLevel: 'silent' },
  });
  expect(warnings).toEqual([]);
  return outputFiles[0]!.text;
}

describe('bundles', () => {
  // Limits in kB, a little above what they are: what makes them grow is to be noticed.
  test.each([
    ['BumpAllocator', "export { BumpAllocator } from 'sabheap';", 14],
    ['Heap and struct', "export { Heap, struct } from 'sabheap';", 135],
    ['everything', "export * from 'sabheap';", 272],
  ])('%s', async (name, code, limit) => {
    const text = await bundle('browser', code);
    const kB = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
    console.log(`${name}: ${kB(text.length)} minified, ${kB(gzipSync(text).length)} gzipped`);
    expect(text.length).toBeLessThan(limit * 1000);
    expect(/(from|import|require)\W{0,2}["']node:/.exec(text)?.[0], 'a browser has none').toBeUndefined();
  });

  test('open what others have made of fields that they do not name', async () => {
    const maker = await bundle(
      'node',
      `import { Heap, SharedVec, string, vec } from 'sabheap';
       import { saveImage } from 'sabheap/node';
       const heap = Heap.create({ byteLength: 2 ** 20 });
       const list = SharedVec.create(heap, vec(string), [['one', 'two'], ['three']]);
       heap.roots.set('list', list);
       saveImage(heap, 'list.heap');`,
    );
    const user = await bundle(
      'node',
      `import { SharedVec } from 'sabheap';
       import { loadImage } from 'sabheap/node';
       const heap = loadImage('list.heap');
       console.log(JSON.stringify(SharedVec.at(heap, heap.roots.get('list'))));`,
    );
    bare.write('maker.js', maker);
    bare.write('user.js', user);
    expect(bare.node('maker.js')).toEqual({ status: 0, output: '', complaints: '' });
    expect(bare.node('user.js')).toEqual({
      status: 0,
      output: '[["one","two"],["three"]]\n',
      complaints: '',
    });
  });
});

describe('the globals of the runtime', () => {
  test('are as they were, but for the table of heaps', () => {
    // Every property of every global, and of what that has for a prototype, by identity.
    const look = `
      function look() {
        const seen = new Map();
        const visit = (object, path) => {
          for (const key of Reflect.ownKeys(object)) {
            const { value, get, set } = Object.getOwnPropertyDescriptor(object, key);
            seen.set(path + String(key), [value, get, set]);
          }
        };
        visit(globalThis, '');
        for (const key of Object.getOwnPropertyNames(globalThis)) {
          if (['crypto', 'localStorage', 'sessionStorage', 'navigator'].includes(key)) continue;
          const value = globalThis[key];
          if (value === globalThis || (typeof value !== 'function' && typeof value !== 'object') || !value) continue;
          visit(value, key + '.');
          if (typeof value === 'function' && value.prototype) visit(value.prototype, key + '.prototype.');
        }
        return seen;
      }
      function changes(before, after) {
        return [...after.keys(), ...before.keys()].filter((key, index, all) => all.indexOf(key) === index)
          .filter((key) => !before.get(key)?.every((part, i) => Object.is(part, after.get(key)?.[i])));
      }`;
    const { output, status, complaints } = bare.eval(
      look,
      // What the process itself counts changes by itself.
      "const own = (keys) => keys.filter((key) => !key.startsWith('process.') && !key.startsWith('performance.'));",
      // What is made when it is first looked at is there the second time.
      'look();',
      'const before = look();',
      "const { Heap } = await import('sabheap');",
      "const { loadImage } = await import('sabheap/node');",
      'console.log(JSON.stringify(own(changes(before, look()))));',
      'Heap.create({ byteLength: 2 ** 20 }).alloc(8);',
      'console.log(JSON.stringify(own(changes(before, look()))));',
    );
    expect(status, complaints).toBe(0);
    expect(
      output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([[], ['Symbol(sabheap)']]);
  });

  const disposables = `
    const found = [];
    for (const [name, value] of Object.entries(await import('sabheap'))) {
      if (typeof value !== 'function' || !value.prototype) continue;
      const keys = Reflect.ownKeys(value.prototype);
      if (REAL in value.prototype) found.push(name);
      if (keys.includes('undefined') || keys.some((key) => /dispose/.test(String(key)) && key !== REAL))
        throw new Error('dispose under another name in ' + name);
    }
    console.log(JSON.stringify(found));`;

  test('have Symbol.dispose: then what is held has it', () => {
    const { output } = bare.eval('const REAL = Symbol.dispose;', disposables);
    const expected = ['Arc', 'Arena', 'Box', 'Channel', 'Heap', 'Mutex', 'Rc', 'SharedMap', 'SharedVec'];
    expect(JSON.parse(output)).toEqual(expect.arrayContaining(expected));
  });

  test('have none: then nothing has one', () => {
    const { output, complaints } = bare.eval(
      'const REAL = Symbol.dispose;',
      // As in runtimes of old: the same symbols, but for those.
      'const Real = Symbol;',
      'const Old = (name) => Real(name);',
      'for (const key of Reflect.ownKeys(Real)) {',
      "  if (['dispose', 'asyncDispose', 'name', 'length'].includes(key)) continue;",
      '  Object.defineProperty(Old, key, Object.getOwnPropertyDescriptor(Real, key));',
      '}',
      'globalThis.Symbol = Old;',
      disposables,
    );
    expect(output, complaints).toBe('[]\n');
  });
});
