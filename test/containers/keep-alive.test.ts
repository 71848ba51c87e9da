/** A program that does nothing but wait in an async form lives until it has what it waits for. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('the event loop turns until the wait is over', () => {
  const program = fileURLToPath(new URL('../../dist/workers/test-threads/late-giver.js', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [program], { encoding: 'utf8', timeout: 300_000 });
  expect(status, stderr).toBe(0);
});
