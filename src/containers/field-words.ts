/**
 * Field words: all that a spelling can name (see structs/schema.ts). Imported by every class that opens containers by
 * their bytes alone, so that it can read whatever another thread has put there.
 *
 * This is the one module that is imported for what it does. The package's `sideEffects` names it, so that bundlers
 * keep it where something is opened, and leave everything out that a program does not use.
 */

import { array, bytes } from '../structs/array-field.ts';
import { atomic } from '../structs/atomic-cell.ts';
import type { Field } from '../structs/field.ts';
import type { AnyStructType } from '../structs/inference.ts';
import { oneOf } from '../structs/one-of.ts';
import { ref } from '../structs/reference.ts';
import { bool, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64 } from '../structs/scalars.ts';
import { asField, registerField, structNamed } from '../structs/schema.ts';
import { arc, weak } from './arc-field.ts';
import { box } from './box.ts';
import { OWNED_POINTER } from './owned-pointer.ts';
import { string } from './string.ts';
import { union } from './union.ts';
import { vec } from './vec-field.ts';

for (const field of [i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, bool])
  registerField(field.kind, () => field);
registerField('array', (element: Field | string, count: number) => array(asField(element), count));
registerField('bytes', (count: number) => bytes(count));
registerField('oneOf', oneOf);
registerField('atomic', (field: typeof i32) => atomic(field));
registerField('ref', (name: string) => ref(structNamed(name)));
registerField('string', () => string);
registerField('vec', (element: Field | string) => vec(asField(element)));
registerField('box', (name: string) => box(structNamed(name)));
registerField('arc', (name: string) => arc(structNamed(name)));
registerField('weak', (name: string) => weak(structNamed(name)));
registerField('union', (...names: string[]) => union(...(names.map(structNamed) as [AnyStructType])));
registerField('owned', () => OWNED_POINTER);
