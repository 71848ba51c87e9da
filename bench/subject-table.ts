/** The table of subjects: everything that the benchmarks compare. */

import type { Job } from './job.ts';
import type { Site, SubjectKind } from './subject.ts';
import { nativeCommand as commandOf, NATIVE_KINDS, type NativeCommand } from './subjects/native.ts';
import { SABHEAP_KINDS } from './subjects/sabheap.ts';
import { THI_NG_KINDS } from './subjects/thi-ng.ts';
import { WASM_KINDS } from './subjects/wasm.ts';

/** Subjects of single workloads, which make them themselves. */
const PLAIN_KINDS: readonly SubjectKind[] = [
  { name: 'v8', label: "V8's own objects" },
  { name: 'v8-doubles', label: "V8's own objects, fractions" },
  { name: 'park-lock', label: 'park lock + unlock' },
  { name: 'spin-lock', label: 'spin lock + unlock' },
  { name: 'plain', label: 'plain objects' },
  { name: 'messages', label: 'postMessage' },
  { name: 'channel', label: 'Channel' },
  { name: 'spsc-ring', label: 'SpscRing' },
  { name: 'raw', label: 'raw typed array' },
  { name: 'struct', label: 'sabheap struct' },
];

const TABLE: ReadonlyMap<string, SubjectKind> = new Map(
  [...SABHEAP_KINDS, ...THI_NG_KINDS, ...WASM_KINDS, ...NATIVE_KINDS, ...PLAIN_KINDS].map((kind) => [
    kind.name,
    kind,
  ]),
);

function kindOf(name: string): SubjectKind {
  const kind = TABLE.get(name);
  if (kind === undefined) throw new RangeError(`no subject is named ${name}`);
  return kind;
}

/** What people call it. */
export function labelOf(name: string): string {
  return kindOf(name).label;
}

/** Why the subject can't be had here, or undefined. */
export function whyMissing(name: string): string | undefined {
  return kindOf(name).whyMissing?.();
}

/** Makes the subject with so many bytes. */
export function createSite(name: string, bytes: number): Site {
  const { create } = kindOf(name);
  if (create === undefined) throw new RangeError(`${name} is made by its workload`);
  return create(bytes);
}

/** Opens what another thread made. */
export function openSite(name: string, ticket: unknown, member: number): Site {
  const { open } = kindOf(name);
  if (open === undefined) throw new RangeError(`${name} serves one thread`);
  return open(ticket, member);
}

/** How a job on a native subject is run. */
export function nativeCommand(job: Job): NativeCommand | undefined {
  return commandOf(job);
}
