/**
 * dlmalloc and emmalloc in WebAssembly over one shared memory, as Emscripten ships them: built from the
 * sources of its Debian package, with the lock of a build for threads. Each thread has an instance of the
 * module; one call from JavaScript for each malloc and free.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { builtPath, compile, hasProgram, isFresh, onceBuilt, sourcePath } from '../built.ts';
import type { Site, SubjectKind } from '../subject.ts';

/** Where Debian puts it. */
export const EMSCRIPTEN = '/usr/share/emscripten';
const HEADERS = `${EMSCRIPTEN}/cache/sysroot/include`;
const PAGE = 65536;
/** Above the heap: data and stacks. */
const EXTRA_PAGES = 64;
const LARGEST_PAGES = 65536;

const FLAGS = [
  ...['--target=wasm32-unknown-emscripten', '-matomics', '-mbulk-memory', '-mmutable-globals'],
  ...['-O3', '-DNDEBUG', '-fno-builtin', '-fno-strict-aliasing', '-w'],
  ...['-D__EMSCRIPTEN_PTHREADS__=1', '-DMALLOC_FAILURE_ACTION=', '-DEMSCRIPTEN_NO_ERRNO'],
  ...['-isystem', `${HEADERS}/compat`, '-isystem', HEADERS],
];
/** Without the constructors among the exports the linker would run these before every call. */
const EXPORTS = [
  ...['malloc', 'free', 'memalign', 'realloc', '__wasm_call_ctors'].map((name) => `--export=${name}`),
  ...['aligned_realloc', 'realloc_in_place', 'malloc_usable_size'].map(
    (name) => `--export-if-defined=${name}`,
  ),
];
const LINK_FLAGS = [
  ...['--no-entry', '--shared-memory', '--import-memory', `--max-memory=${LARGEST_PAGES * PAGE}`],
  ...EXPORTS,
];
const DIGEST = createHash('sha256')
  .update(JSON.stringify([FLAGS, LINK_FLAGS]))
  .digest('hex')
  .slice(0, 12);

interface Exports {
  malloc(size: number): number;
  free(address: number): void;
  memalign(align: number, size: number): number;
  realloc(address: number, size: number): number;
  malloc_usable_size(address: number): number;
  /** emmalloc's. */
  aligned_realloc?(address: number, align: number, size: number): number;
  /** dlmalloc's: the address, or 0. */
  realloc_in_place?(address: number, size: number): number;
  use_stack(end: number): void;
  stack_end(member: number): number;
  set_limit(bytes: number): number;
  __wasm_call_ctors(): void;
}

interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** What of the engine's WebAssembly is used here; no library declares it for Node. */
interface Engine {
  Module: new (bytes: Uint8Array) => object;
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => SharedMemory;
  Instance: new (module: object, imports: object) => { readonly exports: Exports };
}
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;

interface Ticket {
  readonly module: object;
  readonly memory: SharedMemory;
}

function wasmKind(name: string): SubjectKind {
  return {
    name,
    label: `${name}, WebAssembly`,
    whyMissing: onceBuilt(() => build(name)),
    create(bytes) {
      const module = new engine.Module(readFileSync(modulePath(name)));
      const pages = Math.min(LARGEST_PAGES, Math.ceil(bytes / PAGE) + EXTRA_PAGES);
      const memory = new engine.Memory({ initial: pages, maximum: LARGEST_PAGES, shared: true });
      return instantiate({ module, memory }, 0, bytes);
    },
    open: (ticket, member) => instantiate(ticket as Ticket, member),
  };
}

function instantiate(ticket: Ticket, member: number, limit?: number): Site {
  const { module, memory } = ticket;
  const wasm = new engine.Instance(module, { env: { memory } }).exports;
  wasm.use_stack(wasm.stack_end(member));
  if (limit !== undefined) {
    wasm.set_limit(Math.min(limit, memory.buffer.byteLength - EXTRA_PAGES * PAGE));
    wasm.__wasm_call_ctors();
  }
  const subject = { alloc: wasm.malloc, free: wasm.free };
  return {
    subject,
    buffer: memory.buffer,
    ticket,
    aligning: {
      ...subject,
      allocAligned: (size, align) => (align > 8 ? wasm.memalign(align, size) : wasm.malloc(size)) >>> 0,
      realloc: (address, size, align) => realloc(wasm, memory, address, size, align),
    },
  };
}

/** C's `realloc` keeps no alignment above 8: then dlmalloc's blocks are moved by hand. */
function realloc(wasm: Exports, memory: SharedMemory, address: number, size: number, align: number): number {
  if (align <= 8) return wasm.realloc(address, size) >>> 0;
  if (wasm.aligned_realloc !== undefined) return wasm.aligned_realloc(address, align, size) >>> 0;
  if (wasm.realloc_in_place!(address, size) !== 0) return address;
  const moved = wasm.memalign(align, size) >>> 0;
  if (moved === 0) return 0;
  const kept = Math.min(size, wasm.malloc_usable_size(address));
  new Uint8Array(memory.buffer).copyWithin(moved, address, address + kept);
  wasm.free(address);
  return moved;
}

/** Named after how it was built too. */
function modulePath(name: string): string {
  return builtPath(`${name}-${DIGEST}.wasm`);
}

function build(name: string): string | undefined {
  const source = `${EMSCRIPTEN}/system/lib/${name}.c`;
  const threads = sourcePath('wasm/threads.c');
  const out = modulePath(name);
  if (!existsSync(source)) return `its source is not there: install Debian's package emscripten`;
  if (isFresh(out, [source, threads])) return undefined;
  const lacking = ['clang', 'wasm-ld'].filter((program) => !hasProgram(program));
  if (lacking.length > 0) return `not installed: ${lacking.join(', ')} (Debian's packages clang and lld)`;
  const objects = [source, threads].map((path, index) => {
    const object = builtPath(`${name}-${index}.o`);
    compile('clang', [...FLAGS, ...(index === 1 ? ['-ffreestanding'] : []), '-c', path, '-o', object]);
    return object;
  });
  compile('wasm-ld', [...LINK_FLAGS, ...objects, '-o', out]);
  return undefined;
}

export const WASM_KINDS: readonly SubjectKind[] = [wasmKind('dlmalloc'), wasmKind('emmalloc')];
