/**
 * Size classes: the block sizes that thread caches deal in.
 *
 *      class   1   2   …   8   │   9   10   11   12 │  13 …          36
 *      bytes  16  32   …  128  │ 160  192  224  256 │ 320 …      16,384
 *             steps of 16      │ four to a doubling: at most 20 % is wasted
 *
 * Class 0 is none. A class is kept shifted left by 8, as it stands in the ownership word: that is also
 * where its part of a cache starts (see thread-cached.ts).
 */

/** Bytes of the largest class. */
export const LARGEST_CLASS = 16384;
/** One more than the highest class. */
export const CLASSES = 37;
/** How far a class is shifted. */
export const CLASS_SHIFT = 8;

const STEP = 16;
const LINEAR_CLASSES = 8;

/** Bytes of each class, by class. */
export const CLASS_BYTES = new Uint16Array(CLASSES);
for (let cls = 1; cls < CLASSES; cls++) {
  const quarter = cls - LINEAR_CLASSES;
  CLASS_BYTES[cls] = quarter <= 0 ? cls * STEP : (4 + (((quarter - 1) & 3) + 1)) * 32 * 2 ** ((quarter - 1) >>> 2);
}

/** The shifted class of a size, by (size + 15) >>> 4; sizes up to `LARGEST_CLASS`. */
export const SHIFTED_CLASS_OF = new Uint16Array(LARGEST_CLASS / STEP + 1);
for (let cls = CLASSES - 1; cls > 0; cls--) {
  SHIFTED_CLASS_OF.fill(cls << CLASS_SHIFT, 0, CLASS_BYTES[cls]! / STEP + 1);
}
