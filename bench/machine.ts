/** What the figures were measured on. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { sourcePath } from './built.ts';
import { mimallocLibrary } from './subjects/native.ts';
import { EMSCRIPTEN } from './subjects/wasm.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Of the last minute. */
  readonly load: number;
  readonly sabheap: string;
  /** What is compared with, where it is there. */
  readonly peers: Readonly<Record<string, string>>;
}

export function machine(): Machine {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown processor',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    load: loadavg()[0] ?? 0,
    sabheap: versionIn(sourcePath('../package.json')),
    peers: peers(),
  };
}

function versionIn(manifest: string): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}

function peers(): Record<string, string> {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const found = {
    '@thi.ng/malloc': versionIn(sourcePath('../node_modules/@thi.ng/malloc/package.json')),
    emscripten: textOf(`${EMSCRIPTEN}/emscripten-version.txt`)?.replace(/[^0-9.]/g, ''),
    glibc: header.glibcVersionRuntime,
    mimalloc: mimallocLibrary()?.replace(/^.*\.so\./, ''),
  };
  return Object.fromEntries(
    Object.entries(found).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

function textOf(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}

/** The version of a Node binary. */
export function versionOf(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().replace(/^v/, '');
}
