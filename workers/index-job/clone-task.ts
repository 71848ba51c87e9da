/** What the workers of the run by messages do: index their share, and send that as a structured clone. */

import type { TextFile } from './corpus.ts';
import { addFileTo, type PlainIndex } from './plain-index.ts';

/** Indexes some files. */
export default function indexFiles(files: readonly TextFile[]): PlainIndex {
  const index: PlainIndex = new Map();
  for (const { number, path } of files) addFileTo(index, number, path);
  return index;
}
