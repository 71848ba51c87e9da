/** A folder outside of the repository, where the package is installed from the file that npm would publish. */

import { execFileSync, type StdioOptions, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

/** How a program ended. */
export interface Run {
  readonly status: number | null;
  readonly output: string;
  /** What it said on the standard error. */
  readonly complaints: string;
}

/** Runs a program to its end. */
export function run(program: string, args: readonly string[], cwd: string): Run {
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe'];
  const { status, stdout, stderr, error } = spawnSync(program, [...args], {
    cwd,
    stdio,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', NODE_OPTIONS: '' },
  });
  if (error !== undefined) throw error;
  return { status, output: stdout, complaints: stderr };
}

/** The same for one of the repository's own tools. */
export function runTool(name: string, args: readonly string[], cwd: string): Run {
  return run(process.execPath, [join(ROOT, 'node_modules', name), ...args], cwd);
}

/** A folder of consumers, with the package's file in it. */
export class Shop {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'sabheap-package-'));
  /** What `npm pack` made. */
  readonly file: string;

  constructor() {
    // What `prepack` would build is built before the tests start: it takes the folder away that others test.
    const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', this.folder];
    execFileSync('npm', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    const files = readdirSync(this.folder);
    if (files.length !== 1) throw new Error(`npm pack made ${files.join(', ') || 'nothing'}`);
    this.file = join(this.folder, files[0]!);
  }

  /** A new program with the package, and whatever else it names, installed. */
  consumer(name: string, ...dependencies: string[]): Consumer {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    const consumer = new Consumer(folder);
    consumer.write('package.json', JSON.stringify({ name, private: true, type: 'module' }));
    const args = ['install', '--no-audit', '--no-fund', '--silent', '--prefer-offline'];
    execFileSync('npm', [...args, this.file, ...dependencies], { cwd: folder, stdio: 'inherit' });
    return consumer;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One program that uses the package. */
export class Consumer {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  node(...args: string[]): Run {
    return run(process.execPath, args, this.folder);
  }

  /** Runs the package's command as its users do, without what npm says; what is not installed is not fetched. */
  npx(...args: string[]): Run {
    return run('npx', ['--no', '--loglevel=error', ...args], this.folder);
  }

  /** Runs lines of JavaScript as a module in a fresh process. */
  eval(...lines: string[]): Run {
    // A file: the command line's own `--eval` puts Node's modules among the globals.
    return this.node(this.write('eval.js', lines.join('\n')));
  }
}
