/** Asks the questions, prints what came out, and keeps it as JSON. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { sourcePath } from './built.ts';
import { type Machine, machine, versionOf } from './machine.ts';
import type { Options } from './options.ts';
import { startProgress } from './progress.ts';
import { type Answer, type Figure, type Question, type Setting, verdictOf } from './question.ts';
import { QUESTIONS } from './questions.ts';
import { median } from './rounds.ts';
import { drawMissing, drawTable, figureTable } from './table.ts';

/** An answer on one Node. */
interface Answered extends Answer {
  readonly question: string;
  readonly seconds: number;
}

interface NodeReport {
  readonly node: string;
  readonly answers: readonly Answered[];
}

/** What `--json` prints. */
export interface Report {
  readonly date: string;
  readonly machine: Machine;
  readonly effort: string;
  readonly rounds: number;
  readonly nodes: readonly NodeReport[];
}

/** Returns whether every measurement went well. */
export async function askAll(options: Options): Promise<boolean> {
  const asked = QUESTIONS.filter(({ name }) => options.names.length === 0 || options.names.includes(name));
  const say = (text: string): void => {
    if (!options.json) process.stdout.write(`${text}\n`);
  };
  const { effort, rounds } = options;
  const nodes: { node: string; answers: Answered[] }[] = [];
  const report: Report = { date: new Date().toISOString(), machine: machine(), effort, rounds, nodes };
  say(describe(report.machine));
  for (const node of options.nodes) {
    const answers: Answered[] = [];
    nodes.push({ node: versionOf(node), answers });
    say(`\nNode ${nodes.at(-1)!.node}, ${rounds} rounds${effort === 'full' ? '' : `, ${effort}`}`);
    for (const question of asked) {
      const answer = await ask(question, node, options);
      answers.push(answer);
      say(`\n${draw(answer, options)}`);
      // After every answer: a run that is broken off leaves what it has.
      keep(report, options);
    }
    if (options.table) say(`\n${drawTable(figureTable(answers.flatMap(({ figures }) => figures)))}`);
  }
  if (options.json) process.stdout.write(asJson(report));
  for (const file of filesFor(report, options)) say(`\nkept in ${basename(file)}`);
  if (keepsResults(options)) await drawFigures(resultsOf(report), say);
  return nodes.every(({ answers }) => answers.every(({ failures }) => failures.length === 0));
}

async function ask(question: Question, node: string, options: Options): Promise<Answered> {
  const progress = startProgress(question.name);
  const began = performance.now();
  const setting: Setting = {
    node,
    effort: options.effort,
    rounds: options.rounds,
    patience: options.patience,
    focus: options.table,
    progress: progress.show,
  };
  try {
    const answer = await question.run(setting);
    return { question: question.name, seconds: (performance.now() - began) / 1000, ...answer };
  } finally {
    progress.stop();
  }
}

function draw(answered: Answered, { table }: Options): string {
  const { question, seconds, tables, figures, missing, failures, disturbances } = answered;
  const busy = median(disturbances) ?? 0;
  const parts = [
    `── ${question} (${seconds.toFixed(0)} s) ${'─'.repeat(Math.max(0, 80 - question.length))}`,
    ...tables.map(drawTable),
    ...(table || figures.length === 0 ? [] : [drawTable(figureTable(figures))]),
    ...(missing.length === 0 ? [] : [drawMissing(missing)]),
    ...(busy > 0.15
      ? [`  Others kept ${busy.toFixed(1)} cores busy meanwhile: distrust the figures of several threads.`]
      : []),
    ...failures.map((failure) => `  FAILED ${failure}`),
  ];
  return parts.join('\n\n');
}

function keep(report: Report, options: Options): void {
  for (const file of filesFor(report, options)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, asJson(report));
  }
}

/** Draws the tables of a kept run that say how, into a folder beside it, named as it is. */
export async function drawFigures(file: string, say: (text: string) => void): Promise<void> {
  // Only here: it takes half a second to load.
  const { drawCharts } = await import('./chart.ts');
  const { date, machine, effort, nodes } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const { cpu, cores, sabheap } = machine;
  for (const { node, answers } of nodes.slice(0, 1)) {
    const quick = effort === 'full' ? '' : `, ${effort}`;
    const run = `sabheap ${sabheap}, Node ${node}, ${cores} cores of ${cpu}, ${date.slice(0, 10)}${quick}`;
    const tables = answers.flatMap((answer) => answer.tables);
    for (const path of await drawCharts(tables, run, file.replace(/\.json$/, ''))) say(`drawn: ${path}`);
  }
}

function filesFor(report: Report, options: Options): string[] {
  const { out } = options;
  return [...(out === undefined ? [] : [out]), ...(keepsResults(options) ? [resultsOf(report)] : [])];
}

/** Runs of all questions are kept. */
function keepsResults({ table, names, effort }: Options): boolean {
  return (table || names.length === 0) && effort !== 'tiny';
}

function resultsOf({ date }: Report): string {
  return sourcePath(`results/${date.slice(0, 16).replaceAll(':', '')}.json`);
}

function asJson(report: Report): string {
  return `${JSON.stringify(withVerdicts(report), null, 2)}\n`;
}

function withVerdicts(report: Report): object {
  const judged = (figure: Figure): object => ({ ...figure, verdict: verdictOf(figure) });
  const answered = (answer: Answered): object => ({ ...answer, figures: answer.figures.map(judged) });
  return {
    ...report,
    nodes: report.nodes.map(({ node, answers }) => ({ node, answers: answers.map(answered) })),
  };
}

function describe({ cpu, cores, system, sabheap }: Machine): string {
  return `sabheap ${sabheap} on ${cpu}, ${cores} cores, ${system}`;
}
