/**
 * The files to index: those named, those of the folders named, or the texts among the installed
 * dependencies. Each is read once, to tell texts from binary files; so whichever run of the job comes
 * first finds the files as warm in the operating system's cache as the others do.
 */

import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../user-error.ts';

/** A file to index. Postings name it by its number. */
export interface TextFile {
  readonly number: number;
  readonly path: string;
  readonly bytes: number;
}

/** All that is to be indexed. */
export interface Corpus {
  readonly files: readonly TextFile[];
  readonly bytes: number;
  /** Files that hold zero bytes. */
  readonly binary: number;
  /** Files and folders that could not be read. */
  readonly unreadable: number;
  /** Whether files were left out because there are enough. */
  readonly cut: boolean;
}

/** Where the dependencies are installed; seen from the built file, dist/workers/index-job/corpus.js. */
const DEPENDENCIES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const DEFAULT_FILES = /\.(?:md|ts|js|json)$/;
const DEFAULT_BYTES = 32 * 1024 * 1024;

/**
 * Reads what is to be indexed.
 *
 * @param paths files and folders; none for the default
 * @throws UserError when a path does not exist, or there is no text in any
 */
export function readCorpus(paths: readonly string[]): Corpus {
  const named = paths.length > 0;
  const found = new Found(named ? /^/ : DEFAULT_FILES, named ? Number.POSITIVE_INFINITY : DEFAULT_BYTES);
  for (const path of named ? paths : [DEPENDENCIES]) found.add(path);
  if (found.files.length === 0) throw new UserError(`no text files in ${paths.join(', ') || DEPENDENCIES}`);
  return found;
}

class Found implements Corpus {
  readonly files: TextFile[] = [];
  bytes = 0;
  binary = 0;
  unreadable = 0;
  cut = false;
  readonly #seen = new Set<string>();
  readonly #wanted: RegExp;
  readonly #mostBytes: number;
  /** Dependencies are left out, unless a path leads into them. */
  #skipsDependencies = true;

  constructor(wanted: RegExp, mostBytes: number) {
    this.#wanted = wanted;
    this.#mostBytes = mostBytes;
  }

  /** Adds a file, or the files of a folder. */
  add(path: string): void {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) throw new UserError(`no such file or folder: ${path}`);
    this.#skipsDependencies = !resolve(path).split(sep).includes('node_modules');
    if (stats.isDirectory()) this.#addFolder(resolve(path));
    else if (stats.isFile()) this.#addFile(resolve(path));
    else throw new UserError(`neither a file nor a folder: ${path}`);
  }

  /** In the order of names, which is the same everywhere. Hidden entries and links are left out. */
  #addFolder(folder: string): void {
    for (const entry of this.#entriesOf(folder)) {
      const path = join(folder, entry.name);
      if (entry.name.startsWith('.') || (entry.name === 'node_modules' && this.#skipsDependencies)) continue;
      if (entry.isDirectory()) this.#addFolder(path);
      else if (entry.isFile() && this.#wanted.test(entry.name)) this.#addFile(path);
    }
  }

  #entriesOf(folder: string): Dirent[] {
    try {
      return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch {
      this.unreadable++;
      return [];
    }
  }

  #addFile(path: string): void {
    if (this.#seen.has(path)) return;
    this.#seen.add(path);
    try {
      const content = readFileSync(path);
      if (content.includes(0)) this.binary++;
      else if (this.bytes + content.length > this.#mostBytes) this.cut = true;
      else {
        this.files.push({ number: this.files.length, path, bytes: content.length });
        this.bytes += content.length;
      }
    } catch {
      this.unreadable++;
    }
  }
}

/**
 * Cuts the files into shares of about the same size, the largest files first: the threads that take one
 * share after another then end at about the same time.
 */
export function shareOut({ files, bytes }: Corpus, threads: number): TextFile[][] {
  const target = bytes / (threads * 16);
  const shares: TextFile[][] = [];
  let size = target;
  for (const file of [...files].sort((a, b) => b.bytes - a.bytes)) {
    if (size >= target) {
      shares.push([]);
      size = 0;
    }
    shares.at(-1)!.push(file);
    size += file.bytes;
  }
  return shares;
}

/** Bytes of a share. */
export function bytesOf(share: readonly TextFile[]): number {
  return share.reduce((sum, { bytes }) => sum + bytes, 0);
}
