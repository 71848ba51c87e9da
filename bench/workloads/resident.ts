/** How much of a shared buffer the system has given memory to: Linux tells by mapping. */

import { readFileSync } from 'node:fs';

/** MiB of the mappings that are as long as the buffer, or undefined where nobody tells. */
export function residentMiB(byteLength: number): number | undefined {
  let maps: string;
  try {
    maps = readFileSync('/proc/self/smaps', 'utf8');
  } catch {
    return undefined;
  }
  let resident = 0;
  for (const [, size, rss] of maps.matchAll(/^Size: +(\d+) kB\n(?:.*\n){2}Rss: +(\d+) kB$/gm)) {
    const difference = Number(size) * 1024 - byteLength;
    if (difference >= 0 && difference < 1 << 20) resident += Number(rss);
  }
  return resident === 0 ? undefined : resident / 1024;
}
