/**
 * The stress command: what it can be told, that it finds what is wrong, and a run with kills.
 *
 * STRESS_SECONDS sets how long the run is: 60 s with at least 300 kills in CI, 5 s elsewhere.
 */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { StressReport } from '../../workers/stress/referee.ts';

const main = fileURLToPath(new URL('../../dist/workers/stress/main.js', import.meta.url));
const SECONDS = Number(process.env.STRESS_SECONDS ?? (process.env.CI ? 60 : 5));
const KILLS = SECONDS * 5;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function stress(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [main, ...args]);
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

const ALLOCATORS = ['tlsf', 'buddy', 'linked-list', 'bump'];

describe('the command line', () => {
  test('--help tells every option', async () => {
    const { status, stdout } = await stress('--help');
    expect(status).toBe(0);
    for (const option of [
      'threads',
      'seconds',
      'kill',
      'kills',
      'allocator',
      'no-cache',
      'patience',
      'only',
      'seed',
      'json',
    ]) {
      expect(stdout).toContain(`--${option}`);
    }
  });

  test.each([
    ['--threads', '0', 'It takes a whole number from 1 to 64.'],
    ['--threads', '2.5', 'It takes a whole number'],
    ['--seconds', 'many', 'It takes a number'],
    ['--kill', '1x', 'It takes a number'],
    ['--kill', '101', 'It takes a number from 0 to 100.'],
    ['--patience', '0', 'It takes a number from 1 to 3600.'],
    ['--allocator', 'pool', 'Allowed choices are tlsf,'],
    ['--only', 'blocks,nothing', "'nothing' is none of blocks, mutex,"],
    ['--seed', '1e3', 'It takes a whole number'],
    ['--second', '1', 'Did you mean --seconds?'],
  ])('%s %s is refused', async (option, value, message) => {
    const { status, stdout, stderr } = await stress(option, value);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
  });
});

describe('a run', () => {
  test('without kills on each allocator: nothing is lost', async () => {
    for (const allocator of ALLOCATORS) {
      const { status, stdout, stderr } = await stress(
        '--seconds',
        '1',
        '--kill',
        '0',
        '--allocator',
        allocator,
      );
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toContain('0 kills');
      expect(stderr).toMatch(/seed \d+/);
    }
  });

  test.each(['--no-cache', '--json'])('%s', async (flag) => {
    const { status, stdout, stderr } = await stress('--seconds', '1', '--kills', '2', '--threads', '2', flag);
    expect(status, stdout + stderr).toBe(0);
    if (flag !== '--json') return;
    const report = JSON.parse(stdout) as StressReport;
    expect(report.differences).toEqual([]);
    expect(report.operations).toBeGreaterThan(0);
    expect(Object.values(report.kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2);
  });

  test.each([
    ['mutant-loses', 'a block of'],
    ['mutant-overwrites', ''],
    ['mutant-crashes', 'failed (at work): Error: a mutant'],
    ['mutant-hangs', 'does not end'],
  ])('with a %s ends with a difference and the seed', async (mutant, difference) => {
    // No longer than needed where it is waited out; elsewhere a busy machine has all its time.
    const patience = mutant === 'mutant-hangs' ? '5' : '60';
    const args = [
      '--patience',
      patience,
      '--seconds',
      '3',
      '--kill',
      '0',
      '--threads',
      '2',
      '--only',
      `blocks,${mutant}`,
      '--seed',
      '77',
    ];
    const { status, stdout, stderr } = await stress(...args);
    expect(status, stdout + stderr).toBe(1);
    expect(stdout + stderr).toContain('DIFFERENCE: ');
    expect(stdout).toContain(difference);
    expect(stderr).toMatch(/^again: npm run stress -- .*--only blocks,mutant-\w+ .*--seed 77$/m);
  });

  test(`of ${SECONDS} s, with ${KILLS} kills and more`, {
    timeout: (SECONDS * 25 + 400) * 1000,
  }, async () => {
    const args = ['--seconds', `${SECONDS}`, '--kill', '12', '--kills', `${KILLS}`, '--json'];
    const { status, stdout, stderr } = await stress(...args);
    expect(status, stdout + stderr).toBe(0);
    const { kills, differences, reaped } = JSON.parse(stdout) as StressReport;
    expect(differences).toEqual([]);
    expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(KILLS);
    expect(reaped).toBeGreaterThan(KILLS / 4);
  });
});
