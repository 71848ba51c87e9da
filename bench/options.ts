/** The command line of `npm run bench`. */

import { parseArgs } from 'node:util';
import { ROUNDS } from './effort.ts';
import type { Effort } from './question.ts';
import { QUESTIONS } from './questions.ts';

export const USAGE = `usage: npm run bench -- [names…] [options]

Asks the named questions, or all of them. Every measurement runs in a fresh process; the subjects take
turns, and ratios are medians over the rounds. A run of all questions is kept in bench/results/ as JSON,
with figures as SVG.

  table           all questions, but only what the figures with limits need, printed as one table
  --list          the questions
  --rounds N      how often each case is measured (5; 3 with --quick)
  --patience N    measures up to N times more while others keep the machine busy (2; 0 with --tiny)
  --quick         shorter runs
  --tiny          as short as can be: shows that it works, not how fast
  --json          the answers as JSON on the standard output
  --out FILE      writes the JSON to a file too
  --draw FILE     asks nothing: draws the figures of such a file, as SVG in a folder beside it
  --node PATH     a Node binary to measure on; may be given several times
  --help          this text
`;

export interface Options {
  readonly names: readonly string[];
  readonly table: boolean;
  readonly list: boolean;
  readonly help: boolean;
  readonly json: boolean;
  readonly out: string | undefined;
  readonly draw: string | undefined;
  readonly nodes: readonly string[];
  readonly effort: Effort;
  readonly rounds: number;
  readonly patience: number;
}

/** Reads the arguments, or says what is wrong with them. */
export function readOptions(args: readonly string[]): Options | { readonly problem: string } {
  try {
    return parse(args);
  } catch (error) {
    return { problem: `${(error as Error).message} (see --help)` };
  }
}

function parse(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      tiny: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      patience: { type: 'string' },
      out: { type: 'string' },
      draw: { type: 'string' },
      node: { type: 'string', multiple: true },
    },
  });
  const names = positionals.filter((name) => name !== 'table');
  const unknown = names.find((name) => !QUESTIONS.some((question) => question.name === name));
  if (unknown !== undefined) throw new Error(`no question is named ${unknown}: --list shows them`);
  const effort: Effort = values.tiny ? 'tiny' : values.quick ? 'quick' : 'full';
  const rounds = count('rounds', values.rounds, ROUNDS[effort], 1);
  const patience = count('patience', values.patience, effort === 'tiny' ? 0 : 2, 0);
  return {
    names,
    table: positionals.includes('table'),
    list: values.list,
    help: values.help,
    json: values.json,
    out: values.out,
    draw: values.draw,
    nodes: values.node ?? [process.execPath],
    effort,
    rounds,
    patience,
  };
}

function count(name: string, given: string | undefined, otherwise: number, least: number): number {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name} wants an integer from ${least}, got ${given}`);
}
