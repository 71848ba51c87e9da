import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { QUESTIONS } from '../../bench/questions.ts';

const MAIN = fileURLToPath(new URL('../../dist/bench/main.js', import.meta.url));

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: 540_000,
  });
  return { status, stdout, stderr };
}

describe('every question runs, as short as can be, and answers in JSON', () => {
  test.each(QUESTIONS)('$name', ({ name }) => {
    const { status, stdout, stderr } = bench(name, '--tiny', '--json');
    expect(stderr).toBe('');
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ effort: 'tiny', rounds: 1, machine: { cores: expect.any(Number) } });
    expect(Number.isNaN(Date.parse(report.date))).toBe(false);
    const [{ node, answers }] = report.nodes;
    expect(node).toBe(process.versions.node);
    expect(answers).toHaveLength(1);
    const [{ question, tables, figures, missing, failures }] = answers;
    expect(question).toBe(name);
    expect(failures).toEqual([]);
    expect(status).toBe(0);
    expect(tables.length).toBeGreaterThan(0);
    for (const { title, columns, rows } of tables) {
      expect(title).not.toBe('');
      for (const row of rows) expect(row).toHaveLength(columns.length);
    }
    for (const { figure, atLeast, aim, better, verdict } of figures) {
      expect(figure).not.toBe('');
      expect([typeof atLeast, typeof aim]).toEqual(['number', 'number']);
      expect(['lower', 'higher']).toContain(better);
      expect(['aim', 'met', 'missed', 'not measured']).toContain(verdict);
    }
    for (const { subject, reason } of missing) expect([subject, reason]).not.toContain('');
  });
});

describe('the command line', () => {
  test('--list names every question', () => {
    const { status, stdout } = bench('--list');
    expect(status).toBe(0);
    for (const { name } of QUESTIONS) expect(stdout).toMatch(new RegExp(`^${name} `, 'm'));
  });

  test('--help explains, and asks nothing', () => {
    const { status, stdout } = bench('--help');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^usage: npm run bench/);
  });

  test('a mistake is named, with exit code 1', () => {
    const { status, stdout, stderr } = bench('no-such-question');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/no question is named no-such-question/);
  });

  test('--out keeps the JSON, and the tables are for people', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sabheap-bench-'));
    try {
      const out = join(folder, 'answers.json');
      const { status, stdout } = bench('buddy-free', '--tiny', '--out', out);
      expect(status).toBe(0);
      expect(stdout).toMatch(/live blocks +ns +of 1,000 live/);
      expect(JSON.parse(readFileSync(out, 'utf8')).nodes[0].answers[0].question).toBe('buddy-free');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('--draw makes figures of what was kept, and says what it cannot read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sabheap-bench-'));
    try {
      const out = join(folder, 'run.json');
      expect(bench('hand-off', '--tiny', '--out', out).status).toBe(0);
      const drawn = join(folder, 'run', 'hand-off.svg');
      expect(bench('--draw', out)).toEqual({ status: 0, stdout: `drawn: ${drawn}\n`, stderr: '' });
      const svg = readFileSync(drawn, 'utf8');
      for (const text of ['structuredClone messages', `Node ${process.versions.node}, `])
        expect(svg).toContain(text);
      const { status, stderr } = bench('--draw', join(folder, 'nothing.json'));
      expect(status).toBe(1);
      expect(stderr).toMatch(/nothing\.json cannot be drawn: ENOENT/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
