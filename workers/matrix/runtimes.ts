/**
 * The runtimes and where they come from: npm packages that ship the binary, installed into a folder of their own
 * under node_modules/.cache. Each run asks npm for the newest of each line; without a network the last ones do.
 */

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** In the table's order. */
export const RUNTIME_NAMES = ['node20', 'node22', 'node24', 'node26', 'bun', 'deno'] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

interface Package {
  readonly spec: string;
  readonly binary: string;
  /** Arguments before those of the script. */
  readonly flags: readonly string[];
}

const PACKAGES: Readonly<Record<RuntimeName, Package>> = {
  node20: { spec: 'node@20', binary: 'node', flags: [] },
  node22: { spec: 'node@22', binary: 'node', flags: [] },
  node24: { spec: 'node@24', binary: 'node', flags: [] },
  node26: { spec: 'node@26', binary: 'node', flags: [] },
  // Vitest's `#!` line asks for Node: --bun gives it Bun.
  bun: { spec: 'bun', binary: 'bun', flags: ['--bun'] },
  // Recovery asks the kernel who lives, which Deno allows with no less.
  deno: { spec: 'deno', binary: 'deno', flags: ['run', '--allow-all'] },
};

/** A runtime that is installed. */
export interface Runtime {
  readonly name: RuntimeName;
  readonly version: string;
  /** The binary, and its arguments before those of a script. */
  readonly command: readonly [string, ...string[]];
}

const run = promisify(execFile);

/**
 * Installs a runtime, or finds the one that is there.
 *
 * @param root the repository
 * @throws when there is none for this machine, or npm cannot be asked and nothing was installed before
 */
export async function installRuntime(root: string, name: RuntimeName): Promise<Runtime> {
  const { spec, binary, flags } = PACKAGES[name];
  const folder = join(root, 'node_modules/.cache/runtimes', name);
  const executable = join(
    folder,
    'node_modules/.bin',
    process.platform === 'win32' ? `${binary}.cmd` : binary,
  );
  mkdirSync(folder, { recursive: true });
  // The packages' own scripts fetch the binary for this system, as another package.
  const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts=false', '--prefix', folder];
  try {
    await run('npm', ['install', ...options, spec], { cwd: folder, shell: process.platform === 'win32' });
  } catch (error) {
    if (!existsSync(executable)) throw error;
  }
  const { stdout } = await run(executable, ['--version']);
  const version = /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0];
  if (version === undefined) throw new Error(`${executable} --version says ${stdout}`);
  return { name, version, command: [executable, ...flags] };
}
