/** Queues in a thread that may not block, as a page's main thread: it spins, then says which form to use. */

import { expect, test, vi } from 'vitest';
import { Channel } from '../../src/channels/channel.ts';
import { SpscRing } from '../../src/channels/spsc-ring.ts';
import { BlockingNotAllowedError } from '../../src/errors.ts';
import { Heap } from '../../src/heap/heap.ts';
import { MiB } from '../../src/memory/address.ts';
import * as atomics from '../../src/memory/atomics.ts';
import { u32 } from '../../src/structs/scalars.ts';

vi.mock('#platform', async (original) => ({ ...(await original<object>()), mayBlock: () => false }));
vi.mock(import('../../src/memory/atomics.ts'), { spy: true });

test.each([
  ['Channel', Channel],
  ['SpscRing', SpscRing],
])('%s', async (name, Kind) => {
  const heap = Heap.create({ byteLength: MiB });
  const queue = (Kind as typeof Channel).create(heap, u32, { capacity: 1 });
  vi.mocked(atomics.wait).mockImplementation(() => expect.fail('the thread slept'));
  const refusal = (form: string) =>
    `may not block on the ${name} at ${`0x${queue.address.toString(16).padStart(8, '0')}`}: use ${form} here`;
  expect(() => queue.recv()).toThrow(BlockingNotAllowedError);
  expect(() => queue.recvMany(2)).toThrow(refusal('recvAsync()'));
  expect(queue.recv({ timeout: 2 })).toBeUndefined();
  queue.send(1);
  expect(() => queue.send(2)).toThrow(refusal('sendAsync()'));
  expect(queue.send(2, { timeout: 2 })).toBe(false);
  expect(queue.recv()).toBe(1);
  const received = queue.recvAsync();
  expect(await queue.sendAsync(3)).toBe(true);
  expect(await received).toBe(3);
  vi.mocked(atomics.wait).mockRestore();
  queue.destroy();
  heap.detach();
});
