/** A worker that leaves with a lock, in a process of its own, with the leave that Deno gives or does not give. */

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../dist/workers/test-threads/left-lock.js', import.meta.url));
const isDeno = 'Deno' in globalThis;

function outcome(...flags: string[]): { watched: string; lock: string; threads: number } {
  return JSON.parse(
    execFileSync(process.execPath, [...flags, program], { encoding: 'utf8', timeout: 300_000 }),
  );
}

test('the lock comes to its parent, repaired, and the thread is reaped', () => {
  const flags = isDeno ? ['run', '--allow-all'] : [];
  expect(outcome(...flags)).toEqual({ watched: 'reaped slot 2', lock: 'recovered', threads: 1 });
});

test('where the runtime does not tell that the thread has ended, the lock is poisoned and says why', () => {
  // Only Deno may be told to keep silent.
  const { watched, lock } = outcome(...(isDeno ? ['run', '--no-prompt', '--allow-read'] : []));
  expect(watched).toMatch(isDeno ? /HeapCorruptionError: .*Deno says 'exit'.*--allow-all/ : 'reaped slot 2');
  expect(lock).toMatch(isDeno ? /HeapCorruptionError: .*make a new heap\. Deno says 'exit'/ : 'recovered');
});
