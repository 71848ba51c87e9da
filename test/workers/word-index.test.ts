/** The parts of the main job that are worth a test of their own: words, shares, options, the index. */

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Channel, Heap, KiB, MiB, OutOfMemoryError, SharedVec } from '../../src/index.ts';
import { countPostings, isSame, topWords } from '../../workers/index-job/comparison.ts';
import { bytesOf, type Corpus, shareOut } from '../../workers/index-job/corpus.ts';
import { type JobOptions, jobCommand } from '../../workers/index-job/options.ts';
import { countUses, type PlainIndex } from '../../workers/index-job/plain-index.ts';
import { failuresOf } from '../../workers/index-job/report.ts';
import { countWords } from '../../workers/index-job/tokenize.ts';
import {
  addUses,
  createWordIndex,
  destroyWordIndex,
  openWordIndex,
} from '../../workers/index-job/word-index.ts';
import { freeWork, layOutWork, Share } from '../../workers/index-job/work.ts';

const corpusOf = (sizes: number[]): Corpus => ({
  files: sizes.map((bytes, number) => ({ number, path: `file-${number}`, bytes })),
  bytes: sizes.reduce((sum, size) => sum + size, 0),
  binary: 0,
  unreadable: 0,
  cut: false,
});

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
  function optionsOf(...args: string[]): JobOptions {
    let options: JobOptions | undefined;
    const command = jobCommand('job', 'nothing', async (given) => {
      options = given;
    });
    command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .parse(args, { from: 'user' });
    return options!;
  }

  test.each([
    ['4096', 4096],
    ['64KiB', 64 * KiB],
    ['64k', 64 * KiB],
    ['1.5 MB', 1.5 * MiB],
    ['2gib', 2048 * MiB],
    ['4GiB', 4096 * MiB],
  ])('--bytes %s', (text, bytes) => {
    expect(optionsOf('--bytes', text).bytes).toBe(bytes);
  });

  test('have defaults', () => {
    expect(optionsOf()).toMatchObject({
      paths: [],
      allocator: 'tlsf',
      bytes: 256 * MiB,
      top: 10,
      json: false,
    });
    expect(optionsOf().threads).toBeGreaterThanOrEqual(2);
    expect(optionsOf('a', '--json', 'b')).toMatchObject({ paths: ['a', 'b'], json: true });
    expect(() => optionsOf('--threads', '0')).toThrow('It takes a whole number from 1 to 254.');
  });
});

describe('in a heap', () => {
  let heap: Heap;
  let largestFree: number;
  beforeEach(() => {
    heap = Heap.create({ byteLength: 2 * MiB });
    ({ largestFree } = heap.stats());
  });
  afterEach(() => heap.detach());

  function expectEmpty(): void {
    heap.flush();
    heap.verify();
    expect(heap.stats()).toMatchObject({ liveBlocks: 0, largestFree });
  }

  describe('the word index', () => {
    test('keeps what it is given, also long lists, and frees all of it', () => {
      const index = createWordIndex(heap);
      const plain: PlainIndex = new Map();
      for (let file = 0; file < 40; file++) {
        for (let i = 0; i < 4000; i += 1 + file) {
          const word = `${['w', 'wörter', '数', '𝒜'][i % 4]}${i}`;
          const uses = [file * 2, i + 1, file * 2 + 1, 1];
          addUses(index, word, uses);
          plain.set(word, [...(plain.get(word) ?? []), ...uses]);
        }
      }
      heap.verify();
      index.verify();
      expect(index.size).toBe(4000);
      expect(isSame(index, plain)).toBe(true);
      expect(isSame(openWordIndex(heap), plain)).toBe(true);
      expect(countPostings(index)).toBe(countPostings(plain));
      expect(countUses(index)).toBe(countUses(plain));

      plain.get('w0')![1]!++;
      expect(isSame(index, plain)).toBe(false);
      plain.get('w0')![1]!--;
      plain.set('missing', [1, 1]);
      expect(isSame(index, plain)).toBe(false);
      plain.delete('missing');
      plain.delete('w0');
      expect(isSame(index, plain)).toBe(false);
      plain.set('other', [0, 1]);
      expect(isSame(index, plain)).toBe(false);

      destroyWordIndex(heap, index);
      expectEmpty();
      expect(() => openWordIndex(heap)).toThrow('the heap holds no word index');
    });

    test('holds the same whatever the order of the files', () => {
      const index = createWordIndex(heap);
      addUses(index, 'word', [7, 1, 3, 2]);
      addUses(index, 'word', [5, 4]);
      expect(isSame(index, new Map([['word', [3, 2, 5, 4, 7, 1]]]))).toBe(true);
      expect(isSame(index, new Map([['word', [3, 2, 5, 1, 7, 4]]]))).toBe(false);
    });

    test('tells words of one length apart, up to the longest', () => {
      const index = createWordIndex(heap);
      const words = [...'abc𝒜𝒷'].flatMap((letter) => [letter, letter.repeat(64)]);
      for (const [i, word] of words.entries()) addUses(index, word, [i, i + 1]);
      expect(topWords(index, 100).map(({ word }) => word)).toEqual(words.toReversed());
    });

    test('throws when the heap is full, and still holds what it held', () => {
      const index = createWordIndex(heap);
      const plain: PlainIndex = new Map();
      const fill = (): void => {
        for (let i = 0; ; i++) {
          addUses(index, `word${i}`, [0, 1]);
          plain.set(`word${i}`, [0, 1]);
        }
      };
      expect(fill).toThrow(OutOfMemoryError);
      const fillList = (): void => {
        const uses = Array.from({ length: 100 }, (_, file) => [file + 1, 1]).flat();
        for (let i = 0; ; i++) {
          addUses(index, `word${i}`, uses);
          plain.set(`word${i}`, [0, 1, ...uses]);
        }
      };
      expect(fillList).toThrow(OutOfMemoryError);
      expect(isSame(index, plain)).toBe(true);
      heap.verify();
      destroyWordIndex(heap, index);
      expectEmpty();
    });
  });

  describe('the work', () => {
    const corpus = corpusOf(Array.from({ length: 300 }, (_, i) => (i * 7919) % 1000));

    test('names each file once, with all bytes, and nothing comes after it', () => {
      const work = layOutWork(heap, corpus, 2);
      const paths = SharedVec.open(heap, work.paths);
      const shares = [...Channel.open(heap, work.shares, Share)];
      const files = shares.flatMap((share) => share.files);
      expect(files.toSorted((a, b) => a - b)).toEqual(corpus.files.map(({ number }) => number));
      expect(shares.reduce((sum, share) => sum + share.bytes, 0)).toBe(corpus.bytes);
      expect(files.map((number) => paths.at(number))).toEqual(files.map((number) => `file-${number}`));
      expect(Channel.open(heap, work.done).capacity).toBe(shares.length);
      freeWork(heap, work);
      expectEmpty();
    });

    test('is freed also when nobody has done it', () => {
      freeWork(heap, layOutWork(heap, corpus, 3));
      expectEmpty();
    });

    test('that does not fit is refused', () => {
      const rest = heap.alloc(largestFree - 16 * KiB);
      expect(() => layOutWork(heap, corpus, 2)).toThrow(OutOfMemoryError);
      heap.free(rest);
    });
  });
});

test('a check that does not hold is a failure', () => {
  const checks = [
    { claim: 'day follows night', holds: true },
    { claim: 'pigs fly', holds: false },
  ];
  expect(failuresOf({ checks } as never)).toEqual(['not so: pigs fly']);
});
