/** A toy owning field: a chain of as many blocks as were assigned; taking it gives its length. */

import { type ContainerStore, homeOf } from '../../src/containers/store.ts';
import { type Dropper, dropBlock, registerKind } from '../../src/structs/drop.ts';
import { type BoundField, Field, type init, type value } from '../../src/structs/field.ts';
import type { StructStore } from '../../src/structs/store.ts';

const LINK = registerKind(
  'TCHN',
  (dropper: Dropper, address: number) => {
    dropper.push(dropper.store.memory.u32[(address >>> 2) + 2]!);
    dropper.free(address);
  },
  'ToyLink',
);

/** A length that cannot be written, after a part of it was. */
export const UNWRITABLE = -1;

export class Chain extends Field {
  declare readonly [value]: number;
  declare readonly [init]: number;
  override readonly kind = 'chain';
  override readonly size = 4;
  override readonly align = 4;
  override get owning(): readonly number[] {
    return [0];
  }
  override describe(): string {
    return 'chain';
  }
  override bind(store: StructStore): BoundField {
    const { u32 } = store.memory;
    const home = homeOf(store as ContainerStore);
    const write = (address: number, given: unknown): void => {
      for (let i = 0; i < Math.abs(given as number); i++) {
        const link = home.allocZeroed(16);
        u32[link >>> 2] = LINK;
        u32[(link >>> 2) + 2] = u32[address >>> 2]!;
        u32[address >>> 2] = link;
      }
      if (given === UNWRITABLE) throw new TypeError('chain takes a length');
    };
    const read = (address: number): number => {
      let length = 0;
      for (let link = u32[address >>> 2]!; link !== 0; link = u32[(link >>> 2) + 2]!) length++;
      return length;
    };
    const take = (address: number): number => {
      const length = read(address);
      const first = u32[address >>> 2]!;
      if (first !== 0 && !home.tryReceive(first as never)) throw new Error('not in flight');
      u32[address >>> 2] = 0;
      dropBlock(home, first);
      return length;
    };
    return { read, write, take, json: () => null };
  }
}
