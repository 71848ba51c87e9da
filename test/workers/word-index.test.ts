/** The parts of the main job that are worth a test of their own: words, shares, options, the index. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Heap, KiB, MiB, OutOfMemoryError } from '../../src/index.ts';
import { compare, topWords } from '../../workers/index-job/comparison.ts';
import { bytesOf, shareOut } from '../../workers/index-job/corpus.ts';
import { readOptions } from '../../workers/index-job/options.ts';
import type { PlainIndex } from '../../workers/index-job/plain-index.ts';
import { failuresOf } from '../../workers/index-job/report.ts';
import { countWords } from '../../workers/index-job/tokenize.ts';
import { WordIndex } from '../../workers/index-job/word-index.ts';

describe('words', () => {
  const words = (text: string): string[] => [...countWords(text).keys()];

  test('are runs of letters and digits of any script, in lower case', () => {
    expect(words('The heap, THE x86-heap; größe_ΔΕΛΤΑ 数据。𝒜𝒷! 42')).toEqual([
      'the',
      'heap',
      'x86',
      'größe',
      'δελτα',
      '数据',
      '𝒜𝒷',
      '42',
    ]);
    expect(countWords('a b a').get('a')).toBe(2);
  });

  test('there are none in what holds no letter', () => {
    for (const text of ['', ' ', '…', '\ud835', '💥💥', '\u0301']) expect(words(text)).toEqual([]);
  });

  test('have at most 64 characters; the rest is the next word', () => {
    expect(words('a'.repeat(64))).toEqual(['a'.repeat(64)]);
    expect(words(`${'a'.repeat(64)}${'b'.repeat(65)}`)).toEqual(['a'.repeat(64), 'b'.repeat(64), 'b']);
    expect(words('𝒷'.repeat(65))).toEqual(['𝒷'.repeat(64), '𝒷']);
  });
});

describe('shares', () => {
  const corpusOf = (sizes: number[]) => ({
    files: sizes.map((bytes, number) => ({ number, path: `file-${number}`, bytes })),
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    binary: 0,
    unreadable: 0,
    cut: false,
  });

  test('hold each file once, the largest first', () => {
    const corpus = corpusOf(Array.from({ length: 500 }, (_, i) => (i * 7919) % 1000));
    const shares = shareOut(corpus, 3);
    expect(
      shares
        .flat()
        .map(({ number }) => number)
        .sort((a, b) => a - b),
    ).toEqual(corpus.files.map(({ number }) => number));
    expect(shares.flat().every(({ bytes }, i, all) => i === 0 || bytes <= all[i - 1]!.bytes)).toBe(true);
    expect(shares.length).toBeGreaterThanOrEqual(3 * 8);
    const mean = corpus.bytes / shares.length;
    for (const share of shares) expect(bytesOf(share)).toBeLessThan(mean + 1000);
  });

  test('of empty files are shares all the same', () => {
    expect(shareOut(corpusOf([0, 0]), 4).flat()).toHaveLength(2);
  });
});

describe('options', () => {
  test.each([
    ['4096', 4096],
    ['64KiB', 64 * KiB],
    ['64k', 64 * KiB],
    ['1.5 MB', 1.5 * MiB],
    ['2gib', 2048 * MiB],
    ['4GiB', 4096 * MiB],
  ])('--bytes %s', (text, bytes) => {
    expect(readOptions(['--bytes', text])?.bytes).toBe(bytes);
  });

  test('have defaults', () => {
    expect(readOptions([])).toMatchObject({
      paths: [],
      allocator: 'tlsf',
      bytes: 256 * MiB,
      top: 10,
      json: false,
    });
    expect(readOptions([])?.threads).toBeGreaterThanOrEqual(2);
    expect(readOptions(['a', '--json', 'b'])).toMatchObject({ paths: ['a', 'b'], json: true });
    expect(readOptions(['--help'])).toBeUndefined();
  });
});

describe('the word index', () => {
  let heap: Heap;
  beforeEach(() => {
    heap = Heap.create({ byteLength: 2 * MiB });
  });
  afterEach(() => heap.detach());

  test('keeps what it is given, also in long chains, and frees all of it', () => {
    const { largestFree } = heap.stats();
    const index = WordIndex.create(heap);
    const plain: PlainIndex = new Map();
    // Five times as many words as buckets.
    for (let file = 0; file < 4; file++) {
      for (let i = 0; i < 10_000; i += 1 + file) {
        const word = `${['w', 'wörter', '数', '𝒜'][i % 4]}${i}`;
        index.add(word, [file * 2, i + 1, file * 2 + 1, 1]);
        plain.set(word, [...(plain.get(word) ?? []), file * 2, i + 1, file * 2 + 1, 1]);
      }
    }
    heap.verify();
    expect(compare(index, plain)).toMatchObject({ equal: true, distinctWords: 10_000 });
    expect(compare(WordIndex.open(heap), plain).equal).toBe(true);

    plain.get('w0')![1]!++;
    expect(compare(index, plain).equal).toBe(false);
    plain.get('w0')![1]!--;
    plain.set('missing', [1, 1]);
    expect(compare(index, plain).equal).toBe(false);
    plain.delete('missing');
    plain.delete('w0');
    expect(compare(index, plain).equal).toBe(false);

    const live = heap.stats().liveBlocks;
    expect(index.freeWords() + index.freeTable()).toBe(live);
    heap.flush();
    expect(heap.stats()).toMatchObject({ liveBlocks: 0, largestFree });
    expect(() => WordIndex.open(heap)).toThrow('the heap holds no word index');
  });

  test('tells words of one length apart, up to the longest', () => {
    const index = WordIndex.create(heap);
    const words = [...'abc𝒜𝒷'].flatMap((letter) => [letter, letter.repeat(64)]);
    for (const [i, word] of words.entries()) index.add(word, [i, i + 1]);
    expect(topWords(index, 100).map(({ word }) => word)).toEqual(words.toReversed());
  });

  test('throws when the heap is full, and still holds what it held', () => {
    const index = WordIndex.create(heap);
    const plain: PlainIndex = new Map();
    const fill = (): void => {
      for (let i = 0; ; i++) {
        index.add(`word${i}`, [0, 1]);
        plain.set(`word${i}`, [0, 1]);
      }
    };
    expect(fill).toThrow(OutOfMemoryError);
    expect(compare(index, plain).equal).toBe(true);
    heap.verify();
    expect(index.freeWords()).toBe(2 * plain.size);
    index.freeTable();
    expect(heap.stats().liveBlocks).toBe(0);
  });
});

test('a check that does not hold is a failure', () => {
  const checks = [
    { claim: 'day follows night', holds: true },
    { claim: 'pigs fly', holds: false },
  ];
  expect(failuresOf({ checks } as never)).toEqual(['not so: pigs fly']);
});
