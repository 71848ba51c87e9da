/**
 * Bundles the command line into dist/cli, when the package is built: with the libraries that it is made with, so
 * that who installs the package gets no others. What it shares with the package's users stays in dist/src.
 *
 *     main.js             bin
 *     run.js, …           what it starts as processes and threads, each found beside the file that starts it
 *     LICENSES.txt        of what was bundled
 */

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';

/** Seen from the built file, dist/workers/cli/bundle.js. */
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const OUTPUT = join(ROOT, 'dist/cli');

const ENTRIES = {
  main: 'workers/cli/main.ts',
  'doctor-thread': 'workers/cli/doctor-thread.ts',
  'crew-thread': 'workers/index-job/crew-thread.ts',
  run: 'workers/stress/run.ts',
  stresser: 'workers/stress/stresser.ts',
};

/** The library is shipped anyway: dist/src/index.js for src/index.ts. */
const library: Plugin = {
  name: 'library',
  setup({ onResolve }) {
    onResolve({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const name = path.replace(/^.*\/src\//, '').replace(/\.ts$/, '.js');
      return { path: posix.join('../src', name), external: true };
    });
  },
};

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outdir: OUTPUT,
    bundle: true,
    splitting: true,
    chunkNames: 'part-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    plugins: [library],
    // Libraries in CommonJS ask for Node's modules by `require`.
    banner: {
      js: "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);",
    },
    metafile: true,
    logLevel: 'warning',
  });
  return metafile;
}

/** The licences of the packages that went in, each with its package's name. */
function licences({ inputs }: Metafile): string {
  const names = Object.keys(inputs).map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const bundled = [...new Set(names)].filter((name) => name !== undefined).sort();
  return bundled
    .map((name) => {
      const folder = join(ROOT, 'node_modules', name);
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      if (file === undefined) throw new Error(`${name} has no licence to ship`);
      return `${name}\n${'='.repeat(name.length)}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
    })
    .join('\n\n');
}

rmSync(OUTPUT, { recursive: true, force: true });
const metafile = await bundle();
writeFileSync(join(OUTPUT, 'LICENSES.txt'), licences(metafile));
