/**
 * The header of a block in the general-purpose allocators, and the tags around it.
 *
 *      block                                          block + size
 *      ├───────────────┬───────────────┬──────────────────┼─ ─ ─
 *      │ geometry u32  │ ownership u32 │ payload          │ the block above
 *      └───────────────┴───────────────┴──────────────────┴─ ─ ─
 *      ▲ block                         ▲ address (returned), 8-aligned
 *
 *      geometry   size 29 (in 8-byte units, header included) │ aligned │ below free │ free
 *                 31 ─────────────────────────────────────── 3    2         1         0
 *
 *      a free block's payload
 *      ┌ next u32 ─────┬ prev u32 ─────┬ … ─┬ footer u32 ─┐
 *      │ unit of block │ unit of block │    │ size        │   units: address >>> 3; 0 is none
 *      └───────────────┴───────────────┴────┴─────────────┘
 *
 *      aligned      given out with an alignment above 8, which `realloc` keeps
 *      below free   the block below is free, and its footer says how long it is
 *      free         this block is free
 *
 * Geometry is written under the allocator's lock, ownership by whoever holds the block: in one word, a
 * neighbour's "below free" and the holder's change of state would lose each other. Geometry is the
 * truth; "below free", footers and links are derived from it.
 */

/** Bytes of a header. */
export const HEADER_BYTES = 8;
/** Bytes of the smallest block: header, two links, footer, rounded up to 8. */
export const MIN_BLOCK = 24;

/** This block is free. */
export const IS_FREE = 1;
/** The block below is free. */
export const BELOW_FREE = 2;
/** Given out with an alignment above 8. */
export const ALIGNED = 4;

const FLAGS = IS_FREE | BELOW_FREE | ALIGNED;

/** Bytes from header to header, from a geometry word. */
export function sizeIn(geometry: number): number {
  return (geometry & ~FLAGS) >>> 0;
}

/** Bytes of a block whose payload holds `size` bytes. */
export function blockSizeFor(size: number): number {
  return size <= MIN_BLOCK - HEADER_BYTES ? MIN_BLOCK : ((size + HEADER_BYTES + 7) & ~7) >>> 0;
}

/** Index of the geometry word of the block at byte `block`. */
export function geometryIndex(block: number): number {
  return block >>> 2;
}

/** Index of the ownership word of the block at byte `block`. */
export function ownershipIndexOf(block: number): number {
  return (block >>> 2) + 1;
}

/** Index of the footer of a free block: its last word. */
export function footerIndex(block: number, size: number): number {
  return ((block + size) >>> 2) - 1;
}

/** Index of the link to the next free block. */
export function nextIndex(block: number): number {
  return (block >>> 2) + 2;
}

/** Index of the link to the previous free block. */
export function prevIndex(block: number): number {
  return (block >>> 2) + 3;
}

/**
 * Bytes to leave free in front of a block at `block`, so that its payload is aligned: 0 or enough for
 * a free block of their own.
 */
export function frontPadding(block: number, align: number): number {
  const over = (block + HEADER_BYTES) % align;
  let padding = over === 0 ? 0 : align - over;
  while (padding !== 0 && padding < MIN_BLOCK) padding += align;
  return padding;
}
