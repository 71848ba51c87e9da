/** Queues: Boxes and Arcs go from worker to worker. None is lost, none arrives twice, none is half a one. */

import {
  Arc,
  arc,
  atomic,
  Box,
  box,
  Channel,
  type ChannelHandle,
  type Heap,
  string,
  struct,
  toAddress,
  u32,
  vec,
} from '../../../src/index.ts';
import { expect, type Hand, type Part, type Scenario, stampOf, textOf } from '../scenario.ts';

const Parcel = struct('StressParcel', { number: u32, stamp: u32, label: string, stamps: vec(u32) });
const Tally = struct('StressTally', { numbers: atomic(u32), sent: atomic(u32), received: atomic(u32) });
const Seen = struct('StressSeen', { number: atomic(u32) });

const CAPACITY = 64;
const KEPT = 16;
/** Numbers of parcels that are told from each other. */
const SEEN = 1 << 14;

function makeParcel(number: number): { number: number; stamp: number; label: string; stamps: number[] } {
  const stamps = Array.from({ length: number % 5 }, (_, i) => stampOf(number + i));
  return { number, stamp: stampOf(number), label: textOf(number), stamps };
}

interface ParcelView {
  readonly number: number;
  readonly stamp: number;
  readonly label: string;
  readonly stamps: { toArray(): number[] };
}

function checkParcel({ number, stamp, label, stamps }: ParcelView): void {
  const told = JSON.stringify([stamp, label, stamps.toArray()]);
  const made = makeParcel(number);
  const meant = JSON.stringify([made.stamp, made.label, made.stamps]);
  expect(told === meant, () => `parcel ${number} is ${told} and should be ${meant}`);
}

/** Boxes that their maker keeps for a while, and drops. */
export const boxes: Scenario = {
  create: () => ({}),
  join({ heap, random }: Hand): Part {
    const kept: Box<typeof Parcel>[] = [];
    return {
      step() {
        if (kept.length < KEPT) kept.push(Box.create(heap, Parcel, makeParcel(random(1 << 20))));
        if (random(2) === 0) return;
        const [oldest] = kept.splice(random(kept.length), 1);
        checkParcel(oldest!.value);
        oldest!.drop();
      },
      leave() {
        for (const each of kept) each.drop();
      },
    };
  },
  finish: () => {},
};

export interface ChannelScene {
  readonly channel: ChannelHandle<Box<typeof Parcel>>;
  readonly tally: number;
  readonly seen: ReturnType<typeof Seen.array>['handle'];
}

/** Where and how the workers of the channel count. */
function openChannel(heap: Heap, scene: ChannelScene) {
  const channel = Channel.open(heap, scene.channel, box(Parcel));
  const tally = heap.at(Tally, toAddress(scene.tally));
  const seen = Seen.arrayAt(heap, scene.seen);
  /** Of each parcel the first receiver notes its number; should it come again, it is there. */
  const receive = (parcel: Box<typeof Parcel>): void => {
    checkParcel(parcel.value);
    const { number } = parcel.value;
    const before = seen.at(number % SEEN).number.exchange(number);
    expect(before !== number, () => `parcel ${number} arrived twice`);
    parcel.drop();
    tally.received.add(1);
  };
  return { channel, tally, seen, receive };
}

export const channel: Scenario<ChannelScene> = {
  create(heap) {
    const tally = heap.new(Tally, { numbers: 1 });
    const seen = Seen.array(heap, SEEN);
    heap.share(tally.address);
    heap.share(seen.address);
    const made = Channel.create(heap, box(Parcel), { capacity: CAPACITY });
    return { channel: made.handle as ChannelScene['channel'], tally: tally.address, seen: seen.handle };
  },

  join({ heap, random }: Hand, scene): Part {
    const { channel, tally, receive } = openChannel(heap, scene);
    return {
      step() {
        if (random(2) === 0) {
          const parcel = Box.create(heap, Parcel, makeParcel(tally.numbers.add(1)));
          const sent = random(2) === 0 ? channel.trySend(parcel) === 'sent' : channel.send(parcel, SHORTLY);
          if (sent) tally.sent.add(1);
          else parcel.drop();
          return;
        }
        const got =
          random(2) === 0 ? channel.tryRecv() : { status: 'received', value: channel.recv(SHORTLY) };
        if (got.status === 'received' && got.value !== undefined) receive(got.value);
      },
      leave: () => channel.release(),
    };
  },

  finish(heap, scene, deaths) {
    const { channel, tally, seen, receive } = openChannel(heap, scene);
    for (let got = channel.tryRecv(); got.status === 'received'; got = channel.tryRecv()) receive(got.value);
    const [sent, received] = [tally.sent.load(), tally.received.load()];
    // Whoever dies between sending and counting, or receiving and counting, is off by one.
    expect(Math.abs(sent - received) <= deaths, () => {
      return `${sent} parcels were sent and ${received} received, with ${deaths} deaths`;
    });
    channel.destroy();
    heap.delete(tally);
    seen.free();
  },
};

const SHORTLY = { timeout: 5 } as const;

/** Arcs, of which clones go round. What they share goes with the last of them. */
export const arcs: Scenario<{ channel: ChannelHandle<Arc<typeof Parcel>> }> = {
  create: (heap) => ({
    channel: Channel.create(heap, arc(Parcel), { capacity: CAPACITY }).handle as ChannelHandle<
      Arc<typeof Parcel>
    >,
  }),

  join({ heap, random }: Hand, { channel: handle }): Part {
    const shared = Channel.open(heap, handle, arc(Parcel));
    const kept: Arc<typeof Parcel>[] = [];
    return {
      step() {
        const got = shared.tryRecv();
        if (got.status === 'received') kept.push(got.value);
        else if (kept.length < KEPT) kept.push(Arc.create(heap, Parcel, makeParcel(random(1 << 20))));
        const any = kept[random(kept.length)];
        if (any === undefined) return;
        checkParcel(any.value);
        for (let clones = random(3); clones > 0; clones--) {
          const clone = any.clone();
          if (shared.trySend(clone) !== 'sent') clone.drop();
        }
        const weak = random(4) === 0 ? any.downgrade() : undefined;
        while (kept.length > random(KEPT)) kept.splice(random(kept.length), 1)[0]!.drop();
        weak?.upgrade()?.drop();
        weak?.drop();
      },
      leave() {
        for (const each of kept) each.drop();
        shared.release();
      },
    };
  },

  finish(heap, { channel: handle }) {
    const shared = Channel.open(heap, handle, arc(Parcel));
    for (let got = shared.tryRecv(); got.status === 'received'; got = shared.tryRecv()) {
      checkParcel(got.value.value);
      got.value.drop();
    }
    shared.destroy();
  },
};
