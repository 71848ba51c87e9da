/** Pool tasks that get structures by their handles, and give others back so. */

import {
  Arc,
  type ArcHandle,
  Box,
  type BoxHandle,
  box,
  Channel,
  type ChannelHandle,
  f64,
  type Handle,
  Mutex,
  SharedMap,
  SharedVec,
  string,
  struct,
  u32,
} from '../../src/index.ts';
import { currentHeap } from '../../src/threads/piscina.ts';

/** Declared alike in the test. */
export const Point = struct('Point', { x: f64, y: f64 });
export const Route = struct('Route', {
  name: string,
  get next() {
    return box(Route);
  },
});

export function growBox(handle: BoxHandle<typeof Route>): BoxHandle<typeof Route> {
  const came = Box.open(currentHeap(), handle);
  return Box.create(currentHeap(), Route, { name: `before ${came.value.name}`, next: came }).move();
}

export function useArc(handle: ArcHandle<typeof Point>): ArcHandle<typeof Point> {
  const arc = Arc.open(currentHeap(), handle);
  arc.value.x += 1;
  const back = arc.clone().move();
  arc.drop();
  return back;
}

export function fillVec(handle: Handle): Handle {
  const given = SharedVec.open(currentHeap(), handle as never, f64);
  const made = SharedVec.create(currentHeap(), string);
  for (const value of given) made.push(`number ${value}`);
  given.push(-1);
  return made.handle;
}

export function fillMap(handle: Handle): Handle {
  const given = SharedMap.open(currentHeap(), handle as never, string, u32);
  const made = SharedMap.create(currentHeap(), u32, string);
  for (const [key, value] of given) made.set(value, key);
  given.add('visits', 1);
  return made.handle;
}

export function answerChannel(handle: ChannelHandle<number, number>): Handle {
  const answers = Channel.create(currentHeap(), u32, { capacity: 100 });
  const questions = Channel.open(currentHeap(), handle);
  for (const value of questions) answers.send(value * 2);
  answers.close();
  return answers.handle;
}

export function moveArray(handle: never): unknown {
  const given = Point.arrayAt(currentHeap(), handle);
  const made = Point.array(currentHeap(), given.length, { layout: 'columns' });
  for (let index = 0; index < given.length; index++) {
    given.at(index).x += 1;
    made.at(index).x = given.at(index).x * 10;
  }
  return made.handle;
}

/** Counts up under the key, and drops its own part of what all share. */
export function useSharedMap(handle: ArcHandle): number {
  const arc = Arc.open(currentHeap(), handle as never, SharedMap.type(string, u32));
  const count = (arc.value as SharedMap<typeof string, typeof u32>).add('k', 1);
  arc.drop();
  return count;
}

export function useSharedVec(handle: ArcHandle): number {
  const arc = Arc.open(currentHeap(), handle as never, SharedVec.type(string));
  const { length } = arc.value;
  arc.drop();
  return length;
}

export function useSharedMutex(handle: ArcHandle): number {
  const arc = Arc.open(currentHeap(), handle as never, Mutex.type(Point));
  const x = arc.value.with((point) => ++point.x);
  arc.drop();
  return x;
}

export function useSharedChannel(handle: ArcHandle): boolean {
  const arc = Arc.open(currentHeap(), handle as never, Channel.type(u32));
  arc.value.send(1);
  const open = !arc.value.closed;
  arc.drop();
  return open;
}
