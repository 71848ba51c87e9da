/**
 * The header of a block in the general-purpose allocators, and the tags around it.
 *
 *      block                                          block + size
 *      ├───────────────┬───────────────┬──────────────────┼─ ─ ─
 *      │ geometry u32  │ ownership u32 │ payload          │ the block above
 *      └───────────────┴───────────────┴──────────────────┴─ ─ ─
 *      ▲ block                         ▲ address (returned), 8-aligned
 *
 *      geometry   size 29 (units, header included) │ aligned │ below free │ free
 *                 31 ───────────────────────────── 3    2         1         0
 *
 *      a free block's payload
 *      ┌ next u32 ─────┬ prev u32 ─────┬ … ─┬ footer u32 ─┐
 *      │ block         │ block         │    │ size        │   0 is none
 *      └───────────────┴───────────────┴────┴─────────────┘
 *
 *      aligned      given out with an alignment above 8, which `realloc` keeps
 *      below free   the block below is free, and its footer says how long it is
 *      free         this block is free
 *
 * Inside, blocks and sizes are counts of 8-byte units: small integers up to 4 GiB. Geometry is written
 * under the allocator's lock, ownership by whoever holds the block: in one word, a neighbour's "below
 * free" and the holder's change of state would lose each other. Geometry is the truth; "below free",
 * footers and links are derived from it.
 */

/** Bytes of a header. */
export const HEADER_BYTES = 8;
/** Units of the smallest block: header, two links, footer, rounded up. */
export const MIN_UNITS = 3;
/** Bytes of the smallest block. */
export const MIN_BLOCK = MIN_UNITS * 8;

/** This block is free. */
export const IS_FREE = 1;
/** The block below is free. */
export const BELOW_FREE = 2;
/** Given out with an alignment above 8. */
export const ALIGNED = 4;

const SIZE_SHIFT = 3;

/** Units from header to header, from a geometry word. */
export function unitsIn(geometry: number): number {
  return geometry >>> SIZE_SHIFT;
}

/** The geometry word of a block of so many units. */
export function geometryOf(units: number, flags: number): number {
  return (units << SIZE_SHIFT) | flags;
}

/** Units of a block whose payload holds `size` bytes. */
export function unitsFor(size: number): number {
  return size <= MIN_BLOCK - HEADER_BYTES ? MIN_UNITS : (size + HEADER_BYTES + 7) >>> 3;
}

/** Index of the geometry word of a block. */
export function geometryIndex(block: number): number {
  return block * 2;
}

/** Index of the ownership word of a block. */
export function ownershipIndexOf(block: number): number {
  return block * 2 + 1;
}

/** Index of the footer of a free block: its last word. */
export function footerIndex(block: number, units: number): number {
  return (block + units) * 2 - 1;
}

/** Index of the link to the next free block. */
export function nextIndex(block: number): number {
  return block * 2 + 2;
}

/** Index of the link to the previous free block. */
export function prevIndex(block: number): number {
  return block * 2 + 3;
}

/**
 * Units to leave free in front of a block, so that its payload is aligned to `align` bytes: 0 or enough
 * for a free block of their own.
 */
export function frontPadding(block: number, align: number): number {
  const step = align / 8;
  const over = (block + 1) % step;
  let padding = over === 0 ? 0 : step - over;
  while (padding !== 0 && padding < MIN_UNITS) padding += step;
  return padding;
}
