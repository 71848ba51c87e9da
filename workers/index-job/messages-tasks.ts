/** What the workers of the run by messages do: index their files, and send that as a structured clone. */

import { countUses, indexFiles } from './plain-index.ts';

/** By name. */
export const messagesTasks = {
  /** Makes sure that this module is loaded. */
  ready(): void {},
  index: indexFiles,
  countUses,
};
