/**
 * The robust lock as a model (robust-lock.pml), checked by Spin: every interleaving, a death at every
 * step, recoverers that die too. Its mutants must be found, or the model proves nothing.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const model = fileURLToPath(new URL('robust-lock.pml', import.meta.url));

const isThere = (command: string, flag: string) => spawnSync(command, [flag]).status === 0;
const missing = [...(isThere('spin', '-V') ? [] : ['spin']), ...(isThere('gcc', '--version') ? [] : ['gcc'])];
if (missing.length > 0)
  console.warn(`the model of the robust lock is not checked: no ${missing.join(', no ')}`);

interface Verdict {
  readonly errors: number;
  readonly states: number;
  /** What the first error is, if there is one. */
  readonly error: string;
}

/** Explores all of the model, or up to the first error. */
function explore(...defines: readonly string[]): Verdict {
  const folder = mkdtempSync(join(tmpdir(), 'robust-lock-'));
  try {
    const run = (command: string, args: readonly string[]): string => {
      const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
      expect(status, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`).toBe(0);
      return stdout;
    };
    run('spin', [...defines.map((name) => `-D${name}`), '-a', model]);
    // Optimising takes longer than it saves.
    run('gcc', ['-w', '-O0', '-DSAFETY', '-DMEMLIM=2000', '-o', 'explore', 'pan.c']);
    const out = run('./explore', ['-m20000']);
    expect(out, 'the search was cut short').not.toMatch(/max search depth too small|out of memory/);
    return {
      errors: Number(/errors: (\d+)/.exec(out)?.[1]),
      states: Number(/(\d+) states, stored/.exec(out)?.[1]),
      error: /^pan:1: (.*) \(at depth/m.exec(out)?.[1] ?? 'none',
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(missing.length > 0)('the model of the robust lock', () => {
  test('no interleaving of two threads, a recovering parent and two deaths breaks it', () => {
    const { errors, error, states } = explore();
    expect(error).toBe('none');
    expect(errors).toBe(0);
    // Far fewer would mean that the threads no longer meet.
    expect(states).toBeGreaterThan(1_000_000);
  });

  test('without deaths it is a lock like any other', () => {
    const { errors, states } = explore('DEATHS=0');
    expect(errors).toBe(0);
    expect(states).toBeGreaterThan(100);
  });

  test.each([
    ['MUTANT_OWNER_LATER', 'the owner is stored after the swap: nobody knows who died', 'invalid end state'],
    ['MUTANT_NO_PENDING', 'the lock that is being taken is not recorded', 'assertion violated (word'],
    [
      'MUTANT_PENDING_CLEARED_EARLY',
      'it is no longer recorded, and not held yet',
      'assertion violated (word',
    ],
    ['MUTANT_RELEASE_WITHOUT_PENDING', 'a release does not record its lock', 'assertion violated (word'],
    ['MUTANT_NO_REPAIR', 'an orphaned lock is taken like a free one', 'assertion violated (left'],
    ['MUTANT_NO_SECOND_LOOK', 'a recoverer that waited reaps the next tenant', 'assertion violated dead'],
    ['MUTANT_WALK_INSIDE', 'the walk waits for locks under the recovery lock', 'invalid end state'],
  ])('%s is found: %s', (mutant, _, error) => {
    const verdict = explore(mutant);
    expect(verdict.errors).toBe(1);
    expect(verdict.error).toContain(error);
  });
});
