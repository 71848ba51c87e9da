/**
 * Size classes: the block sizes that thread caches deal in.
 *
 *      class   1   2   …   8   │   9   10  …   16 │  17 …       48
 *      bytes  16  32   …  128  │ 144  160  …  256 │ 288 …    4,096
 *             steps of 16      │ eight to a doubling: at most 11 % is wasted
 *
 * Larger blocks are not cached: idle in caches they would cost more than the lock does. Class 0 is none. A
 * class is kept shifted left by 8, as it stands in the ownership word: that is also where its part of a cache
 * starts (see thread-cached.ts).
 */

/** Bytes of the largest class. */
export const LARGEST_CLASS = 4096;
/** One more than the highest class. */
export const CLASSES = 49;
/** How far a class is shifted. */
export const CLASS_SHIFT = 8;

const STEP = 16;
const PER_DOUBLING = 8;

/** Bytes of each class, by class. */
export const CLASS_BYTES = new Uint16Array(CLASSES);
for (let cls = 1; cls < CLASSES; cls++) {
  // Eighths of the doubling that the class lies in; classes up to 8 are all of the first "doubling".
  const doubling = Math.max(0, Math.ceil(cls / PER_DOUBLING) - 2);
  const eighths = cls - doubling * PER_DOUBLING;
  CLASS_BYTES[cls] = eighths * STEP * 2 ** doubling;
}

/** The shifted class of a size, by (size + 15) >>> 4; sizes up to `LARGEST_CLASS`. */
export const SHIFTED_CLASS_OF = new Uint16Array(LARGEST_CLASS / STEP + 1);
for (let cls = CLASSES - 1; cls > 0; cls--) {
  SHIFTED_CLASS_OF.fill(cls << CLASS_SHIFT, 0, CLASS_BYTES[cls]! / STEP + 1);
}
