/** A stand-in for the `string` field, as far as keys need it. */

import { type BoundField, Field, type init, type value } from '../../src/structs/field.ts';
import { registerField } from '../../src/structs/schema.ts';

class StringKey extends Field {
  declare readonly [value]: string;
  declare readonly [init]: string;
  override readonly kind = 'string';
  override readonly size = 4;
  override readonly align = 4;
  override describe(): string {
    return 'string';
  }
  override bind(): BoundField {
    throw new Error('a key only');
  }
}

export const string = new StringKey();
registerField('string', () => string);
