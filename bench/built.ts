/** Programs that are built when they are first needed, and where they are kept. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** This folder's sources; this file runs from `dist/bench`. */
const SOURCES = fileURLToPath(new URL('../../bench/', import.meta.url));
const BUILT = fileURLToPath(new URL('built/', import.meta.url));

/** The path of one of this folder's own sources. */
export function sourcePath(name: string): string {
  return SOURCES + name;
}

/** Where the thing of this name is kept once it is built. */
export function builtPath(name: string): string {
  mkdirSync(BUILT, { recursive: true });
  return BUILT + name;
}

/** Runs a compiler. Throws what it said. */
export function compile(program: string, args: readonly string[]): void {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(stderr?.split('\n').find((line) => line.includes('error')) ?? message);
  }
}

/** Whether a program can be run. */
export function hasProgram(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Whether `path` was built after all of `sources` were written. */
export function isFresh(path: string, sources: readonly string[]): boolean {
  if (!existsSync(path)) return false;
  const built = statSync(path).mtimeMs;
  return sources.every((source) => statSync(source).mtimeMs < built);
}

/** Builds once in this process: answers why it could not be had, or undefined. */
export function onceBuilt(build: () => string | undefined): () => string | undefined {
  let answer: { readonly reason: string | undefined } | undefined;
  return () => {
    try {
      answer ??= { reason: build() };
    } catch (error) {
      answer = { reason: (error as Error).message };
    }
    return answer.reason;
  };
}
