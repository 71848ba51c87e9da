import { describe, expect, test } from 'vitest';
import { readOptions } from '../../bench/options.ts';
import { type Figure, verdictOf } from '../../bench/question.ts';
import { median, Samples } from '../../bench/rounds.ts';
import { drawTable, figureTable } from '../../bench/table.ts';

const figure: Figure = {
  figure: 'cost / cost',
  atLeast: 2.5,
  aim: 2,
  better: 'lower',
  unit: '×',
  measured: 2.2,
  spread: [2.1, 2.3],
};

describe('verdicts', () => {
  test('of a figure that should be low', () => {
    expect(verdictOf(figure)).toBe('met');
    expect(verdictOf({ ...figure, measured: 2 })).toBe('aim');
    expect(verdictOf({ ...figure, measured: 2.51 })).toBe('missed');
  });

  test('of a figure that should be high', () => {
    const high: Figure = { ...figure, better: 'higher', atLeast: 10, aim: 15 };
    expect(verdictOf({ ...high, measured: 9.9 })).toBe('missed');
    expect(verdictOf({ ...high, measured: 10 })).toBe('met');
    expect(verdictOf({ ...high, measured: 16 })).toBe('aim');
  });

  test('of a figure that could not be had', () => {
    expect(verdictOf({ ...figure, measured: undefined })).toBe('not measured');
    expect(verdictOf({ ...figure, measured: Number.NaN })).toBe('not measured');
  });
});

describe('samples', () => {
  test('the median leaves out what failed', () => {
    expect(median([3, Number.NaN, 1, 2])).toBe(2);
    expect(median([4, 1])).toBe(2.5);
    expect(median([Number.NaN])).toBeUndefined();
  });

  test('ratios are taken within a round', () => {
    const samples = new Samples();
    for (const [fast, slow] of [
      [1, 2],
      [10, 30],
      [100, 100],
    ]) {
      samples.add('fast', { ns: fast! });
      samples.add('slow', { ns: slow! });
    }
    expect(samples.ratio('slow', 'fast', 'ns')).toEqual({ measured: 2, spread: [1, 3] });
  });

  test('a round in which one of the two failed does not count', () => {
    const samples = new Samples();
    samples.add('a', { ns: 1 });
    samples.add('b', undefined);
    samples.add('a', { ns: 1 });
    samples.add('b', { ns: 5 });
    expect(samples.ratios('b', 'a', 'ns')).toEqual([5]);
    expect(samples.ratio('b', 'nothing', 'ns').measured).toBeUndefined();
  });
});

describe('tables', () => {
  test('figures show limit, aim, measured, spread and verdict', () => {
    const text = drawTable(figureTable([figure]));
    expect(text).toMatch(/cost \/ cost +≤ 2\.5 × +2 × +2\.20 +2\.10 … 2\.30 +met/);
  });

  test('what was not measured is a dash', () => {
    expect(drawTable({ title: 't', columns: ['a', 'b'], rows: [['x', undefined]] })).toMatch(/x +–/);
  });
});

describe('options', () => {
  test('effort decides the rounds unless they are given', () => {
    expect(readOptions([])).toMatchObject({ effort: 'full', rounds: 5, patience: 2 });
    expect(readOptions(['--quick', 'pair'])).toMatchObject({ effort: 'quick', rounds: 3, names: ['pair'] });
    expect(readOptions(['--tiny', '--rounds', '2'])).toMatchObject({ rounds: 2, patience: 0 });
  });

  test.each([
    { args: ['no-such-question'], problem: /no question is named no-such-question/ },
    { args: ['--rounds', '0'], problem: /--rounds wants an integer from 1/ },
    { args: ['--rounds', 'x'], problem: /--rounds wants an integer from 1/ },
    { args: ['--patience', '-1'], problem: /--patience/ },
    { args: ['--fast'], problem: /--fast/ },
  ])('$args is refused', ({ args, problem }) => {
    expect(readOptions(args)).toEqual({ problem: expect.stringMatching(problem) });
  });
});
