/** The README's examples run as they stand; `// …` behind a console.log is what it must print. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the package, so that `import 'sabheap'` finds the package itself.
const folder = join(root, 'dist', 'readme');

interface Program {
  readonly line: number;
  readonly section: number;
  readonly files: Map<string, string>;
}

/** Each fence is a program; fences of a section that name their files are one. */
function programsOf(markdown: string): Program[] {
  const programs: Program[] = [];
  const fences = /^```js\n([\s\S]*?)^```$/gm;
  for (let fence = fences.exec(markdown); fence !== null; fence = fences.exec(markdown)) {
    const code = fence[1] as string;
    const name = /^\/\/ (\S+\.js)$/m.exec(code.split('\n')[0] as string)?.[1];
    const line = markdown.slice(0, fence.index).split('\n').length;
    const last = programs.at(-1);
    const section = markdown.slice(0, fence.index).split(/^## /m).length;
    if (
      name !== undefined &&
      last?.section === section &&
      !last.files.has('main.mjs') &&
      !last.files.has(name)
    ) {
      last.files.set(name, code);
    } else {
      programs.push({ line, section, files: new Map([[name ?? 'main.mjs', code]]) });
    }
  }
  return programs;
}

/** What the console.log lines of the files say that they print. */
function promised(files: Map<string, string>): string[] {
  return [...files.values()].flatMap((code) =>
    code.split('\n').flatMap((line) => {
      const comment = /^\s*console\.log\(.*\); \/\/ (.*)$/.exec(line)?.[1];
      return comment === undefined ? [] : [comment];
    }),
  );
}

describe("the README's examples", () => {
  const programs = programsOf(readFileSync(join(root, 'README.md'), 'utf8'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are all found', () => {
    expect(programs.length).toBeGreaterThanOrEqual(8);
  });

  for (const [index, { line, files }] of programs.entries()) {
    it(`line ${line} prints what it says`, () => {
      const place = join(folder, String(index));
      mkdirSync(place, { recursive: true });
      for (const [name, code] of files) writeFileSync(join(place, name), code);
      const main = files.has('main.mjs') ? 'main.mjs' : 'main.js';
      const printed = execFileSync(process.execPath, [join(place, main)], {
        encoding: 'utf8',
        timeout: 300_000,
      });
      const lines = promised(files);
      expect(lines.length).toBeGreaterThan(0);
      expect(printed.trimEnd().split('\n')).toEqual(lines);
    });
  }
});

describe('the table of guarantees', () => {
  const markdown = readFileSync(join(root, 'README.md'), 'utf8');
  const table = /^## Guarantees\n([\s\S]*?)^## /m.exec(markdown)?.[1] ?? '';
  const names = [...table.matchAll(/`([a-z]+\/[a-z-]+)`[^|\n]*\|$/gm)].map((match) => match[1] as string);

  it('names tests for each fault', () => {
    expect(names.length).toBeGreaterThan(20);
  });

  it.each([...new Set(names)])('%s is there', (name) => {
    expect(existsSync(join(root, 'test', `${name}.test.ts`))).toBe(true);
  });
});

describe('what the README leads to', () => {
  const markdown = readFileSync(join(root, 'README.md'), 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
  const targets = [...markdown.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] as string);
  const local = targets.filter((target) => !target.startsWith('https:'));
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1] as string));
  const runs = [...markdown.matchAll(/`(?:bench\/results\/)?(\d{4}-\d\d-\d\d[^`]*\.json)`/g)];

  it('are headings and files', () => {
    expect(local.length).toBeGreaterThan(15);
    for (const target of local) {
      if (target.startsWith('#')) expect(headings).toContain(target.slice(1));
      else expect(existsSync(join(root, target)), target).toBe(true);
    }
  });

  it('are runs of the benchmarks that were kept', () => {
    expect(runs.length).toBeGreaterThan(4);
    for (const [, name] of runs)
      expect(existsSync(join(root, 'bench/results', name as string)), name).toBe(true);
  });
});

/** How a heading is linked to. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} -]/gu, '')
    .replaceAll(' ', '-');
}
