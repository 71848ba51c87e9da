/** What the workers of pool-cache.js do. */

import { SharedMap, string, u32 } from 'sabheap';
import { heapTask } from 'sabheap/piscina';

export default heapTask(({ number, cache }, heap) => {
  const map = SharedMap.open(heap, cache, u32, string);
  const known = map.get(number);
  if (known !== undefined) return { hit: true, digits: known.length };
  const text = factorial(BigInt(number)).toString();
  map.set(number, text);
  return { hit: false, digits: text.length };
});

function factorial(n) {
  return n < 2n ? 1n : n * factorial(n - 1n);
}
