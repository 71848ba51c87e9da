/**
 * Runtime: the threads of one schedule, what they wait for, and their clock. All of them run in this isolate,
 * as generators; the instrumented code calls in here before every access to shared bytes.
 *
 *     ready ──▶ runs ──┬── a point where the strategy switches ──▶ ready
 *       ▲              ├── pause: a spin loop                  ──▶ spinning  until another thread stores
 *       │              ├── wait: the word is as expected       ──▶ sleeping  until notified, or the time is up
 *       └──────────────┴── end, error, killed                  ──▶ gone
 *
 * Time is virtual: it stands still while any thread is ready. A thread that spins counts as blocked, since it
 * would only read again what it has read. When nobody is ready, spinners look once more; then the first sleeper's
 * time is up. A sleep of a whole slice (50 ms) that ends so is a wake-up that nobody sent: the schedule fails,
 * unless the scenario lets threads die.
 */

import * as races from './races.ts';

/** What instrumented functions return is an instance of it, as of any generator. */
export function Fiber(): void {}
Fiber.prototype = Object.getPrototypeOf(function* () {}).prototype;

/** What decides which thread goes on. Threads are numbers from 1, sets of them bits. */
export interface Strategy {
  /** Called at step 0 of a schedule. */
  begin(): void;
  /** Called at a point from step `nextChoice` on. Answers the thread to go on with, or {@link KILL}. */
  atPoint(running: number, ready: number): number;
  /** Called when the running thread cannot go on. */
  atBlock(ready: number, running: number): number;
  /** The running thread spins. */
  spins(running: number): void;
  /** Whether a thread that waits is waited for: the others go on when it has ended. */
  readonly inTurn?: boolean;
}

/** The strategy's answer that ends the running thread there, as `worker.terminate()` does. */
export const KILL = -1;

/** A thread of the schedule at hand. */
interface Strand {
  readonly fiber: Iterator<unknown, unknown>;
  /** The heaps that it is attached to: see src/heap/attached.ts. */
  readonly attached: unknown;
  /** Index of the word that it sleeps on; -1 when it does not. */
  word: number;
  deadline: number;
  isNap: boolean;
  woken: boolean;
}

/** A failure of the schedule itself: a deadlock, a livelock, a lost wake-up. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

const HEAPS = Symbol.for('sabheap');
const globals = globalThis as { [HEAPS]?: unknown };
/** Sleeps of this length are slices: see `SLICE_MS` in src/sync/lock.ts. */
const SLICE_MS = 50;
const PAUSE_MS = 0.004;

let strands: Strand[] = [];
let strategy: Strategy;
/** The thread that runs: 0 outside of a schedule, where nothing is a point. */
export let running = 0;
/** Accesses so far. */
export let steps = 0;
/** The step from which on the strategy is asked. */
export let nextChoice = 0;
let mostSteps = 0;
let next = 0;
let ready = 0;
let spinning = 0;
let dead = 0;
/** Threads that the schedule began with. */
let begun = 0;
/** Threads that have not ended. */
let alive = 0;
/** Set while code runs that cannot be left: constructors, getters, callbacks. */
let undivided = 0;
let clock = 0;
let stores = 0;
let storesAtIdle = -1;
let maySleepOut = false;
// The access at which the running thread was left, to be counted when it is made.
let pendingKind = 0;
let pendingView: View | undefined;
let pendingIndex = 0;
let pendingSite = 0;
const pendings: { kind: number; view: View | undefined; index: number; site: number }[] = [];

/** Where each thread was left, in order: for the report of a failure. */
export interface Switch {
  readonly thread: number;
  readonly step: number;
  readonly site: number;
}
export const switches: Switch[] = [];
let traced = false;

/** Views over shared bytes, as {@link mark} leaves them. */
export interface View {
  /** log2 of the bytes of an element. */
  readonly $s: number;
  /** First byte. */
  readonly $o: number;
  [index: number]: number | bigint;
  readonly length: number;
}

const LOAD = 1;
const STORE = 2;

/** Marks a view over shared bytes, so that accesses to it are points. */
export function mark<T>(view: T): T {
  if (ArrayBuffer.isView(view) && view.buffer instanceof SharedArrayBuffer) {
    const { BYTES_PER_ELEMENT, byteOffset } = view as unknown as Int32Array;
    const marked = view as unknown as { $s: number; $o: number };
    marked.$s = 31 - Math.clz32(BYTES_PER_ELEMENT);
    marked.$o = byteOffset;
  }
  return view;
}

// ── Points ──────────────────────────────────────────────────────────────────────────────────────

/** Asks the strategy. Returns whether the running thread is to be left here. */
function choose(site: number): boolean {
  if (steps > mostSteps) throw new ScheduleError(`livelock: still at work after ${mostSteps} steps`);
  if (steps < nextChoice) return false;
  const chosen = strategy.atPoint(running, ready);
  if (chosen === running) return false;
  next = chosen;
  if (traced) switches.push({ thread: running, step: steps, site });
  return true;
}

function point(kind: number, view: View, index: number, site: number): boolean {
  if (running === 0 || undivided !== 0) {
    if (running !== 0) performed(kind, view, index, site);
    return false;
  }
  steps++;
  if ((steps >= nextChoice || steps > mostSteps) && choose(site)) {
    pendingKind = kind;
    pendingView = view;
    pendingIndex = index;
    pendingSite = site;
    return true;
  }
  performed(kind, view, index, site);
  return false;
}

/** A plain access is made now. */
function performed(kind: number, view: View, index: number, site: number): void {
  if (kind === STORE) stored();
  if (races.enabled) races.plain(running, kind === STORE, view.$o + index * 2 ** view.$s, 2 ** view.$s, site);
}

export function load(view: View, index: number, site: number): boolean {
  return point(LOAD, view, index, site);
}

export function store(view: View, index: number, site: number): boolean {
  return point(STORE, view, index, site);
}

/** A point before an operation that counts itself when it is made. */
function bare(site: number): boolean {
  if (running === 0 || undivided !== 0) return false;
  steps++;
  if (steps < nextChoice && steps <= mostSteps) return false;
  if (!choose(site)) return false;
  pendingKind = 0;
  return true;
}

export function atomicLoad(_view: View, _index: number, site: number): boolean {
  return bare(site);
}

export function atomicStore(_view: View, _index: number, site: number): boolean {
  return bare(site);
}

export function sync(_view: View, _index: number, site: number): boolean {
  return bare(site);
}

export function getter(site: number): boolean {
  return bare(site);
}

/** `fill`, `copyWithin` and `set` on a view are one step. */
export function bulk(view: View, name: string, args: readonly unknown[], site: number): boolean {
  const left = bare(site);
  if (running !== 0) bulkPerformed(view, name, args, site);
  return left;
}

function bulkPerformed(view: View, name: string, args: readonly unknown[], site: number): void {
  stored();
  if (!races.enabled) return;
  const size = 2 ** view.$s;
  const [a, b, c] = args as number[];
  const note = (isStore: boolean, from: number, to: number): void => {
    if (to > from) races.plain(running, isStore, view.$o + from * size, (to - from) * size, site);
  };
  if (name === 'fill') note(true, b ?? 0, c ?? view.length);
  else if (name === 'slice') note(false, a ?? 0, b ?? view.length);
  else if (name === 'set') note(true, b ?? 0, (b ?? 0) + (args[0] as ArrayLike<number>).length);
  else {
    note(false, b!, c ?? view.length);
    note(true, a!, a! + (c ?? view.length) - b!);
  }
}

// ── Where code cannot be left ───────────────────────────────────────────────────────────────────

/** Runs what an instrumented function returned to its end. */
export function drive<T>(made: T): T {
  if (!(made instanceof Fiber)) return made;
  undivided++;
  try {
    const { done, value } = (made as unknown as Iterator<unknown, T>).next();
    if (!done) throw new ScheduleError('a constructor, getter or callback had to wait');
    return value;
  } finally {
    undivided--;
  }
}

/** As `view[index]`. */
export function get<T>(view: { [index: number]: T }, index: number, site: number): T {
  const { $s } = view as unknown as View;
  if ($s !== undefined && running !== 0) performed(LOAD, view as unknown as View, index, site);
  return view[index]!;
}

/** As `view[index] = value`. */
export function put<T>(view: { [index: number]: T }, index: number, value: T, site: number): T {
  const { $s } = view as unknown as View;
  if ($s !== undefined && running !== 0) performed(STORE, view as unknown as View, index, site);
  view[index] = value;
  return value;
}

/** As `view[index] += …`. */
export function change<T>(view: { [index: number]: T }, index: number, site: number, to: (was: T) => T): T {
  return put(view, index, to(get(view, index, site)), site);
}

/** As `view.fill(…)` and the like. */
export function bulkNow(view: View, name: string, site: number, args: readonly unknown[]): unknown {
  if (view.$s !== undefined && running !== 0) bulkPerformed(view, name, args, site);
  return (view as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args);
}

type Callback = (value: unknown, index: number, list: unknown[]) => unknown;

/** As `list.map(callback)` and the like, where the callback can be left. */
export function* each(list: unknown, name: string, callback: Callback): Generator<void, unknown> {
  if (!isList(list))
    return yield* whole((list as Record<string, (fn: Callback) => unknown>)[name]!(callback));
  const answers: unknown[] = [];
  for (let i = 0; i < list.length; i++) {
    const answer = yield* whole(callback(list[i], i, list));
    if (name === 'some' && answer) return true;
    if (name === 'every' && !answer) return false;
    if (name === 'find' && answer) return list[i];
    answers.push(answer);
  }
  if (name === 'filter') return list.filter((_, i) => answers[i]);
  if (name === 'map') return answers;
  if (name === 'flatMap') return answers.flat();
  return name === 'every' ? true : name === 'some' ? false : undefined;
}

function isList(list: unknown): list is unknown[] {
  return Array.isArray(list) || ArrayBuffer.isView(list);
}

/** What a call came to, once it has ended. */
function* whole(made: unknown): Generator<void, unknown> {
  return made instanceof Fiber ? yield* made as unknown as Generator<void, unknown> : made;
}

// ── Waiting ─────────────────────────────────────────────────────────────────────────────────────

/** The time in ms, as `performance.now()` tells it to the threads. */
export function now(): number {
  return clock;
}

/** Some thread has stored something: those who spin look again. */
export function stored(): void {
  stores++;
  if (spinning !== 0) {
    ready |= spinning;
    spinning = 0;
    nextChoice = Math.min(nextChoice, steps + 1);
  }
}

/** A step of a spin loop. The thread is left unless nobody else could go on. */
export function pause(): boolean {
  if (running === 0) return false;
  if (undivided !== 0) throw new ScheduleError('a constructor, getter or callback spins');
  clock += PAUSE_MS;
  if (++steps > mostSteps) throw new ScheduleError(`livelock: still at work after ${mostSteps} steps`);
  strategy.spins(running);
  ready &= ~(1 << running);
  spinning |= 1 << running;
  pendingKind = 0;
  next = 0;
  return true;
}

/** As `Atomics.wait`. */
export function* sleep(view: View, index: number, value: number, timeout: number): Generator<void, string> {
  if (view[index] !== value) return 'not-equal';
  if (running === 0 || undivided !== 0)
    throw new ScheduleError('a constructor, getter or callback had to wait');
  const strand = strands[running]!;
  strand.word = view.$o + index * 4;
  strand.deadline = clock + timeout;
  strand.isNap = timeout < SLICE_MS;
  strand.woken = false;
  ready &= ~(1 << running);
  pendingKind = 0;
  next = 0;
  yield;
  return strand.woken ? 'ok' : 'timed-out';
}

/** Such as an `AbortSignal`. */
interface Aborter {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/**
 * As `waitAbortable` of src/memory/atomics.ts. What the engine still counts as a sleeper after an abort goes on
 * as a thread of its own, which passes on the wake-up that it may get, or has got.
 */
export function* sleepUnlessAborted(
  view: View,
  index: number,
  value: number,
  timeout: number,
  signal: Aborter,
  late: () => unknown,
): Generator<void, string> {
  if (view[index] !== value) return 'not-equal';
  const thread = running;
  const strand = strands[thread]!;
  let aborted = false;
  const abort = (): void => {
    // Unless its time is up already.
    if (aborted || (strand.word < 0 && !strand.woken)) return;
    aborted = true;
    const { word, deadline, woken, attached } = strand;
    outlive({ attached, word, deadline, isNap: true, woken }, late);
    strand.word = -1;
    makeReady(thread);
  };
  const slept = sleep(view, index, value, timeout);
  slept.next();
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort);
  yield;
  signal.removeEventListener('abort', abort);
  return aborted ? 'aborted' : (slept.next().value as string);
}

/** Begins a thread that sleeps, or was woken, and has something to do if it is. */
function outlive(sleeper: Omit<Strand, 'fiber'>, late: () => unknown): void {
  const thread = strands.length;
  if (thread >= races.THREADS) throw new Error('too many sleepers were aborted for one schedule');
  const passOn = function* (): Generator<void, void> {
    if (strands[thread]!.woken) yield* whole(late());
  };
  strands.push({ ...sleeper, fiber: passOn() });
  pendings[thread] = { kind: 0, view: undefined, index: 0, site: 0 };
  alive++;
  if (races.enabled) races.wakes(running, thread);
  if (sleeper.woken) makeReady(thread);
}

function makeReady(thread: number): void {
  ready |= 1 << thread;
  nextChoice = Math.min(nextChoice, steps + 1);
}

/** As `Atomics.notify`. */
export function wake(view: View, index: number, count: number): number {
  const word = view.$o + index * 4;
  let woken = 0;
  // Those who were aborted come first.
  const all = strands.length - 1;
  for (let turn = 0; turn < all && woken < count; turn++) {
    const thread = ((turn + begun) % all) + 1;
    const strand = strands[thread]!;
    if (strand.word !== word || (dead & (1 << thread)) !== 0) continue;
    strand.word = -1;
    strand.woken = true;
    makeReady(thread);
    woken++;
    if (races.enabled) races.wakes(running, thread);
  }
  return woken;
}

/** Nobody who is to go on is ready: lets spinners look, or the time pass. */
function idle(): void {
  if (spinning !== 0 && storesAtIdle !== stores) {
    storesAtIdle = stores;
    ready |= spinning;
    spinning = 0;
    return;
  }
  let first = 0;
  for (let thread = 1; thread < strands.length; thread++) {
    const strand = strands[thread]!;
    if (strand.word < 0 || (dead & (1 << thread)) !== 0) continue;
    if (first === 0 || strand.deadline < strands[first]!.deadline) first = thread;
  }
  if (first !== 0 && strands[first]!.deadline !== Number.POSITIVE_INFINITY) {
    const strand = strands[first]!;
    if (!strand.isNap && !maySleepOut) {
      throw new ScheduleError(
        `lost wake-up: thread ${first} sleeps on the word at ${strand.word}, and all others wait too or have ended`,
      );
    }
    clock = Math.max(clock, strand.deadline);
    strand.word = -1;
    ready |= 1 << first;
    return;
  }
  if (spinning === 0) throw new ScheduleError('deadlock: every thread waits');
  clock += SLICE_MS / 10;
  steps += 10;
  if (steps > mostSteps) throw new ScheduleError('livelock: every thread spins');
  ready |= spinning;
  spinning = 0;
}

// ── Running ─────────────────────────────────────────────────────────────────────────────────────

/** How a schedule is run. */
export interface RunOptions {
  readonly strategy: Strategy;
  readonly mostSteps: number;
  /** Whether sleeps of a whole slice may end by themselves. */
  readonly maySleepOut: boolean;
  readonly trace: boolean;
}

/** Sets the step at which the strategy wants to be asked next. */
export function askAt(step: number): void {
  nextChoice = step;
}

/** Runs `work` as a thread, in one go: to attach, to check. 0 is the thread that sets up. */
export function asThread<T>(thread: number, attached: unknown, work: () => T): T {
  const outer = globals[HEAPS];
  globals[HEAPS] = attached;
  identity = thread;
  undivided++;
  try {
    return drive(work());
  } finally {
    undivided--;
    identity = 0;
    globals[HEAPS] = outer;
  }
}

let identity = 0;

/** The thread id of the thread that runs. */
export function threadId(): number {
  return running === 0 ? identity : running;
}

/** Whether a thread of the schedule has ended, by itself or not. */
export function isDead(thread: number): boolean {
  if ((dead & (1 << thread)) === 0) return false;
  // Who learns of an end knows that all before it was done.
  if (races.enabled && running !== 0) races.wakes(thread, running);
  return true;
}

/**
 * Runs threads to their ends.
 *
 * @param bodies what threads 1, 2, … do
 * @param tables the heaps that each is attached to
 * @throws ScheduleError, and whatever a thread throws; then `running` still names it
 */
export function run(
  bodies: readonly (() => unknown)[],
  tables: readonly unknown[],
  options: RunOptions,
): void {
  start(bodies, tables, options);
  strategy.begin();
  next = strategy.atBlock(ready, 0);
  begun = bodies.length;
  alive = begun;
  while (alive > 0) {
    if (next === 0) {
      const stays = strategy.inTurn === true && running !== 0 && (dead & (1 << running)) === 0;
      const eligible = stays ? 1 << running : -1;
      while ((ready & eligible) === 0) idle();
      next = strategy.atBlock(ready & eligible, running);
    }
    if (next === KILL) {
      kill(running);
      alive--;
      next = 0;
      continue;
    }
    if (resume(next)) alive--;
  }
  running = 0;
}

/** Ends a schedule that has failed. */
export function abandon(): void {
  running = 0;
  undivided = 0;
}

function start(bodies: readonly (() => unknown)[], tables: readonly unknown[], options: RunOptions): void {
  strategy = options.strategy;
  mostSteps = options.mostSteps;
  maySleepOut = options.maySleepOut;
  traced = options.trace;
  switches.length = 0;
  steps = 0;
  spinning = 0;
  dead = 0;
  undivided = 0;
  clock = 0;
  stores = 0;
  storesAtIdle = -1;
  running = 0;
  ready = 0;
  strands = [
    { fiber: [][Symbol.iterator](), attached: undefined, word: -1, deadline: 0, isNap: false, woken: false },
  ];
  bodies.forEach((body, i) => {
    const made = body();
    const fiber = made instanceof Fiber ? (made as unknown as Iterator<unknown>) : [][Symbol.iterator]();
    strands.push({ fiber, attached: tables[i], word: -1, deadline: 0, isNap: false, woken: false });
    ready |= 1 << (i + 1);
    pendings[i + 1] = { kind: 0, view: undefined, index: 0, site: 0 };
  });
}

/** Goes on with a thread until it is left. Returns whether it has ended. */
function resume(thread: number): boolean {
  const strand = strands[thread]!;
  running = thread;
  next = 0;
  globals[HEAPS] = strand.attached;
  const pending = pendings[thread]!;
  if (pending.kind !== 0) performed(pending.kind, pending.view!, pending.index, pending.site);
  if (strand.fiber.next().done) {
    ready &= ~(1 << thread);
    dead |= 1 << thread;
    // Its end may be what others spin for.
    stored();
    return true;
  }
  pending.kind = pendingKind;
  pending.view = pendingView;
  pending.index = pendingIndex;
  pending.site = pendingSite;
  return false;
}

/** Drops a thread where it stands: no `finally` runs. */
function kill(thread: number): void {
  ready &= ~(1 << thread);
  dead |= 1 << thread;
  stored();
}
