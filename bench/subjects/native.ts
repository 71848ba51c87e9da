/**
 * glibc's malloc and mimalloc in native programs of our own, which do what the workers do, in C. mimalloc
 * takes the place of glibc's by LD_PRELOAD.
 */

import { existsSync, realpathSync } from 'node:fs';
import { builtPath, compile, hasProgram, isFresh, onceBuilt, sourcePath } from '../built.ts';
import type { Job } from '../job.ts';
import type { SubjectKind } from '../subject.ts';

/** How a job is run that is no child of Node's. */
export interface NativeCommand {
  readonly file: string;
  readonly args: string[];
  readonly env: Readonly<Record<string, string>>;
}

const LIBRARIES = ['/lib', '/usr/lib', '/usr/local/lib'].flatMap((folder) =>
  ['x86_64-linux-gnu/', 'aarch64-linux-gnu/', ''].map((triple) => `${folder}/${triple}libmimalloc.so.2`),
);
const PROGRAMS = ['larson', 'xmalloc'];

const build = onceBuilt(() => {
  for (const program of PROGRAMS) {
    const source = sourcePath(`native/${program}.c`);
    const header = sourcePath('native/crew.h');
    const out = builtPath(program);
    if (isFresh(out, [source, header])) continue;
    if (!hasProgram('cc')) return 'no C compiler (cc) is installed';
    compile('cc', ['-O2', '-fno-builtin', '-pthread', '-std=gnu11', source, '-o', out]);
  }
  return undefined;
});

/** The library's file, by its real name. */
export function mimallocLibrary(): string | undefined {
  const found = LIBRARIES.find((path) => existsSync(path));
  return found === undefined ? undefined : realpathSync(found);
}

/** The command of a job on a native subject; undefined for the others. */
export function nativeCommand(job: Job): NativeCommand | undefined {
  if (!NATIVE_KINDS.some(({ name }) => name === job.subject)) return undefined;
  const preload = job.subject === 'mimalloc' ? { LD_PRELOAD: mimallocLibrary()! } : {};
  const options = Object.entries(job.options ?? {}).map(([name, value]) => `${name}=${value}`);
  return { file: builtPath(job.workload), args: [`threads=${job.threads ?? 1}`, ...options], env: preload };
}

export const NATIVE_KINDS: readonly SubjectKind[] = [
  { name: 'glibc', label: 'glibc malloc, native', whyMissing: build },
  {
    name: 'mimalloc',
    label: 'mimalloc, native',
    whyMissing: () =>
      mimallocLibrary() === undefined ? "no libmimalloc.so.2 (Debian's package libmimalloc2.0)" : build(),
  },
];
