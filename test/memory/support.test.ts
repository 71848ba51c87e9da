/** What the runtime offers, on this one and on poorer ones. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runtimeSupport } from '../../src/memory/support.ts';

const built = new URL('../../dist/src/index.js', import.meta.url).href;

/** What a fresh process finds after these lines. */
function supportAfter(...lines: string[]): object {
  const program = [
    ...lines,
    `const { runtimeSupport } = await import(${JSON.stringify(built)});`,
    'console.log(JSON.stringify(runtimeSupport()));',
  ].join('\n');
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

test('tells of this runtime what is so', () => {
  expect(runtimeSupport()).toEqual({
    problem: undefined,
    mayBlock: true,
    waitAsync: 'waitAsync' in Atomics,
    pause: 'pause' in Atomics,
    dispose: 'dispose' in Symbol,
  });
});

test('tells of a runtime without this and that', () => {
  expect(supportAfter('delete Atomics.waitAsync; delete Atomics.pause;')).toMatchObject({
    waitAsync: false,
    pause: false,
  });
  expect(supportAfter('Atomics.pause = () => {};')).toMatchObject({ pause: true });
});

test('tells why no memory can be shared', () => {
  const problem = 'This runtime has no SharedArrayBuffer.';
  expect(supportAfter('delete globalThis.SharedArrayBuffer;')).toMatchObject({ problem });
});
