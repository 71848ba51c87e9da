/** A page that is served without the headers, and a worker of it: what each entry of the library says there. */

import { Heap, Memory } from '../../src/index.ts';

/** What was tried, and the error's name and message, or 'no error'. */
export type Attempt = readonly [string, string];

interface Scope {
  readonly document?: object;
  readonly WebAssembly: { Memory: new (options: object) => { readonly buffer: SharedArrayBuffer } };
  readonly SharedArrayBuffer?: unknown;
  readonly crossOriginIsolated: boolean;
  outcome?: readonly Attempt[];
  postMessage(attempts: readonly Attempt[]): void;
}

const scope = globalThis as unknown as Scope;

function attempt(what: string, act: () => unknown): Attempt {
  try {
    act();
    return [what, 'no error'];
  } catch (error) {
    return [what, String(error)];
  }
}

function attempts(): Attempt[] {
  // Not every page may have it, but one that has gets a shared buffer.
  const { buffer } = new scope.WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
  return [
    ['isolated', String(scope.crossOriginIsolated)],
    ['buffer of shared Wasm memory', String(buffer)],
    attempt('Heap.create()', () => Heap.create()),
    attempt('Heap.create({ buffer })', () => Heap.create({ buffer })),
    attempt('Heap.attach(buffer)', () => Heap.attach(buffer)),
    attempt('Heap.attach(handle)', () => Heap.attach({ kind: 'sabheap', id: '0', buffer })),
    attempt('Memory.create', () => Memory.create(64)),
    attempt('Memory.attach', () => Memory.attach(buffer)),
  ];
}

if (scope.document === undefined) {
  scope.postMessage(attempts());
} else {
  interface Answering {
    onmessage: (event: { readonly data: readonly Attempt[] }) => void;
  }
  const { Worker } = globalThis as unknown as { Worker: new (url: string, options: object) => Answering };
  new Worker('/page.js', { type: 'module' }).onmessage = ({ data }) => {
    scope.outcome = [...attempts(), ...data.map(([what, error]) => [`worker: ${what}`, error] as const)];
  };
}
