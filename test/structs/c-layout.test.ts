import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { array, bytes } from '../../src/structs/array-field.ts';
import { atomic } from '../../src/structs/atomic-cell.ts';
import type { Field } from '../../src/structs/field.ts';
import { oneOf } from '../../src/structs/one-of.ts';
import { ref } from '../../src/structs/reference.ts';
import { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from '../../src/structs/scalars.ts';
import { type StructType, struct } from '../../src/structs/struct.ts';
import { SEED } from '../random.ts';

/** A field and how C declares one: `int32_t name`, `double name[3]`. */
interface Declared {
  readonly field: Field;
  readonly c: (name: string) => string;
}

const STRUCTS = 60;
const Target = struct('Target', { x: u8 });

const plain = (field: Field, type: string): Declared => ({ field, c: (name) => `${type} ${name}` });

const scalars: readonly Declared[] = [
  plain(i8, 'int8_t'),
  plain(u8, 'uint8_t'),
  plain(i16, 'int16_t'),
  plain(u16, 'uint16_t'),
  plain(i32, 'int32_t'),
  plain(u32, 'uint32_t'),
  plain(i64, 'int64_t'),
  plain(u64, 'uint64_t'),
  plain(f32, 'float'),
  plain(f64, 'double'),
  plain(bool, '_Bool'),
  plain(oneOf('a', 'b'), 'uint8_t'),
  plain(ref(Target), 'uint32_t'),
  plain(atomic(i32), 'int32_t'),
  plain(atomic(u64), 'uint64_t'),
  { field: bytes(5), c: (name) => `uint8_t ${name}[5]` },
];

const arrayOf = ({ field, c }: Declared, count: number): Declared => ({
  field: array(field, count),
  c: (name) => c(`${name}[${count}]`),
});

/** Picks for a list of structs: each field is a scalar or an earlier struct, perhaps in an array. */
const structPicks = fc.array(
  fc.record({ pick: fc.nat(), counts: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 2 }) }),
  { minLength: 1, maxLength: 7 },
);

function declareAll(seed: number): { types: StructType[]; source: string[] } {
  const types: StructType[] = [];
  const source: string[] = [];
  const known = [...scalars];
  const [picks] = fc.sample(fc.array(structPicks, { minLength: STRUCTS, maxLength: STRUCTS }), {
    seed,
    numRuns: 1,
  });
  picks!.forEach((fields, index) => {
    const name = `S${index}`;
    const schema: Record<string, Field> = {};
    const members = fields.map(({ pick, counts }, position) => {
      const declared = counts.reduce(arrayOf, known[pick % known.length]!);
      schema[`f${position}`] = declared.field;
      return `  ${declared.c(`f${position}`)};`;
    });
    const type = struct(name, schema) as StructType;
    // Nested in nested in … in arrays would grow without end.
    if (type.size < 4096) known.push(plain(type, `struct ${name}`));
    types.push(type);
    source.push(`struct ${name} {`, ...members, '};');
  });
  return { types, source };
}

function compiler(): string | undefined {
  return ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);
}

function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`);
  return stdout;
}

const cc = compiler();
if (cc === undefined)
  console.warn('c-layout: skipped, because this system has no C compiler (cc, gcc or clang)');

test.skipIf(cc === undefined)(`${STRUCTS} generated structs lie as the C compiler lays them out`, () => {
  console.log(`c-layout: SEED=${SEED}`);
  const { types, source } = declareAll(SEED);
  const prints = types.flatMap(({ name, fields }) => [
    `  printf("${name} %zu %zu", sizeof(struct ${name}), _Alignof(struct ${name}));`,
    ...fields.map((field) => `  printf(" %zu", offsetof(struct ${name}, ${field.name}));`),
    '  printf("\\n");',
  ]);
  const program = [
    '#include <stddef.h>',
    '#include <stdint.h>',
    '#include <stdio.h>',
    ...source,
    'int main(void) {',
    ...prints,
    '  return 0;',
    '}',
  ];
  const folder = mkdtempSync(join(tmpdir(), 'c-layout-'));
  try {
    writeFileSync(join(folder, 'layout.c'), program.join('\n'));
    run(cc!, '-std=c11', '-o', join(folder, 'layout'), join(folder, 'layout.c'));
    const wanted = run(join(folder, 'layout')).trimEnd().split('\n');
    const got = types.map(({ name, size, align, fields }) =>
      [name, size, align, ...fields.map(({ offset }) => offset)].join(' '),
    );
    expect(got).toEqual(wanted);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
