/**
 * The robust lock as a model (robust-lock.pml), checked by Spin: every interleaving, a death at every
 * step, those who take over, repair and reap included. Its mutants must be found, or the model proves nothing.
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
    expect(states).toBeGreaterThan(300_000);
  });

  test('without deaths it is a lock like any other', () => {
    const { errors, states } = explore('DEATHS=0');
    expect(errors).toBe(0);
    expect(states).toBeGreaterThan(100);
  });

  test.each([
    ['OWNER_LATER', 'the owner is stored after the swap: nobody knows who died', 'invalid end state'],
    ['INHERIT_BY_STORE', 'two waiters take the lock over by a store', 'assertion violated'],
    ['NO_REPAIR', 'what was taken over is not repaired', 'assertion violated (left'],
    [
      'NO_GENERATION',
      'a token names a slot alone: its next tenant seems to be the last',
      'assertion violated',
    ],
    ['TENANT_BEFORE_GENERATION', 'a tenant is there before its generation', 'assertion violated'],
    ['NO_SECOND_LOOK', 'who waited for the recovery lock reaps the next tenant', 'assertion violated ((dead'],
    [
      'SLOT_FREED_FIRST',
      'the slot is freed before the walk, and who reaps dies',
      'assertion violated  !(unwalked',
    ],
    ['WAITER_REAPS', 'who waits with a lock in its hands wants the recovery lock', 'invalid end state'],
  ])('%s is found: %s', (mutant, _, error) => {
    const verdict = explore(`MUTANT_${mutant}`);
    expect(verdict.errors).toBe(1);
    expect(verdict.error).toContain(error);
  });
});
