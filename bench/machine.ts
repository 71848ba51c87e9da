/** What the figures were measured on. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { sourcePath } from './built.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  /** Of the last minute. */
  readonly load: number;
  readonly sabheap: string;
}

export function machine(): Machine {
  const processors = cpus();
  const manifest = JSON.parse(readFileSync(sourcePath('../package.json'), 'utf8')) as { version: string };
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown processor',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    load: loadavg()[0] ?? 0,
    sabheap: manifest.version,
  };
}

/** The version of a Node binary. */
export function versionOf(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim().replace(/^v/, '');
}
