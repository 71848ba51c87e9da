/** What the workers of the run by messages do: index their files, and send that as a structured clone. */

export { countUses, indexFiles as default } from './plain-index.ts';

/** Makes sure that this module is loaded. */
export function ready(): void {}
