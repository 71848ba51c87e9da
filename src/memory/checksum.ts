/**
 * Checksum: CRC-32, as zlib and Ethernet have it. Any change of up to 32 bits in a row changes it for certain, any
 * other one but for a chance of 2^-32. No protection against who alters bytes on purpose.
 *
 *     eight bytes ──▶ eight look-ups, one table for each place ──▶ exclusive or ──▶ the next eight
 *
 * Source: M. Kounavis and F. Berry, "A systematic approach to building high performance software-based CRC
 * generators", 2005 (slicing by 8). Runtimes whose zlib is native have a faster one: the values are the same.
 */

/** The polynomial, lowest power first. */
const POLYNOMIAL = 0xedb88320;
const PLACES = 8;

let made: readonly Int32Array[] | undefined;

/** One for each place: what a byte does to the checksum, so many bytes before the end. Made when first needed. */
function tables(): readonly Int32Array[] {
  if (made !== undefined) return made;
  const atEnd = Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ POLYNOMIAL;
    return sum;
  });
  const all = [atEnd];
  while (all.length < PLACES) all.push(all.at(-1)!.map((sum) => (sum >>> 8) ^ atEnd[sum & 0xff]!));
  made = all;
  return all;
}

/**
 * The checksum of bytes, a u32.
 *
 * @param before the checksum of what comes before them
 */
export function checksumOf(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables();
  let sum = ~before;
  const aligned = bytes.byteOffset % 4 === 0 ? bytes.length - (bytes.length % PLACES) : 0;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset - (bytes.byteOffset % 4), aligned >>> 2);
  for (let i = 0; i < words.length; i += 2) {
    const low = words[i]! ^ sum;
    const high = words[i + 1]!;
    sum =
      t7![low & 0xff]! ^
      t6![(low >>> 8) & 0xff]! ^
      t5![(low >>> 16) & 0xff]! ^
      t4![low >>> 24]! ^
      t3![high & 0xff]! ^
      t2![(high >>> 8) & 0xff]! ^
      t1![(high >>> 16) & 0xff]! ^
      t0![high >>> 24]!;
  }
  for (let i = aligned; i < bytes.length; i++) sum = t0![(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
}
