import { Channel, type ChannelHandle } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import type { Arc } from '../../src/containers/arc.ts';
import { arc } from '../../src/containers/arc-field.ts';
import { Box, box } from '../../src/containers/box.ts';
import type { ContainerStore } from '../../src/containers/store.ts';
import { string } from '../../src/containers/string.ts';
import type { SharedVec } from '../../src/containers/vec.ts';
import { vec } from '../../src/containers/vec-field.ts';
import { f64, i64, u32 } from '../../src/structs/scalars.ts';
import { struct } from '../../src/structs/struct.ts';
import type { Equal, Expect } from './expect.ts';

declare const store: ContainerStore;
const options = { capacity: 4 };
const Tree = struct('Tree', {
  value: f64,
  get left() {
    return box(Tree);
  },
});

// Scalars ------------------------------------------------------------------------------------------------

const addresses = Channel.create(store, u32, options);
export const number: number | undefined = addresses.recv();
export type AddressesAreNumbers = Expect<Equal<ReturnType<typeof addresses.recv>, number | undefined>>;
addresses.sendAll(new Uint32Array(4));
// @ts-expect-error: a number is wanted
addresses.send('5');
const longs = SpscRing.create(store, i64, options);
export type LongsAreBigints = Expect<Equal<ReturnType<typeof longs.recv>, bigint | undefined>>;
// @ts-expect-error: a bigint is wanted
longs.send(5);

// What owns ----------------------------------------------------------------------------------------------

const roots = Channel.create(store, box(Tree), options);
for (const root of roots) {
  root.value.set({ left: { value: root.value.value } });
  root.drop();
}
async function all(): Promise<void> {
  for await (const root of roots) root.value.value++;
}
void all;
export type BoxesAreReceivedAsBoxes = Expect<
  Equal<ReturnType<typeof roots.recv>, Box<typeof Tree> | undefined>
>;
roots.send(Box.create(store, Tree));
roots.send({ value: 1 });
// @ts-expect-error: null stands for nothing
roots.send(null);
// @ts-expect-error: a Box of Tree is wanted
roots.send(Box.create(store, struct('Other', { x: string })));

const shared = SpscRing.create(store, arc(Tree), options);
export type ArcsAreReceivedAsArcs = Expect<
  Equal<ReturnType<typeof shared.recv>, Arc<typeof Tree> | undefined>
>;
const lists = Channel.create(store, vec(u32), options);
export type VecsAreReceivedAsVecs = Expect<
  Equal<ReturnType<typeof lists.recv>, SharedVec<typeof u32> | undefined>
>;
const texts = Channel.create(store, string, options);
export type TextsAreStrings = Expect<Equal<ReturnType<typeof texts.recv>, string | undefined>>;

// Handles ------------------------------------------------------------------------------------------------

const again = Channel.open(store, roots.handle);
export type HandlesKeepTheTypes = Expect<Equal<typeof again, typeof roots>>;
declare const loose: ChannelHandle;
const checked = Channel.open(store, loose, u32);
export type AFieldGivesTheTypes = Expect<Equal<typeof checked, typeof addresses>>;
const received = addresses.tryRecv();
// @ts-expect-error: only what was received has a value
received.value;
if (received.status === 'received') received.value.toFixed();
