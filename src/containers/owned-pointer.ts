/**
 * Owned pointer: the payload of an `Arc.of(heap, container)`, a cell that owns any container.
 *
 *     │ address of a block that starts with kind and hash, or 0 │
 *
 * It is no field for schemas: which class opens what it owns is known to the caller alone.
 */

import { type BoundField, Field } from '../structs/field.ts';
import type { StructStore } from '../structs/store.ts';

const AT_START: readonly number[] = Object.freeze([0]);

class OwnedPointerField extends Field {
  override readonly kind = 'owned';
  override readonly size = 4;
  override readonly align = 4;

  override get owning(): readonly number[] {
    return AT_START;
  }

  override describe(): string {
    return 'owned';
  }

  override bind({ memory: { u32 } }: StructStore): BoundField {
    const read = (address: number): number | undefined => u32[address >>> 2];
    const write = (): never => {
      throw new TypeError('what an Arc owns cannot be assigned to');
    };
    return { read, write, json: read };
  }
}

/** The one field of this kind. */
export const OWNED_POINTER: Field = new OwnedPointerField();
