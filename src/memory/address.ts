/**
 * Addresses: byte offsets from the buffer's start, below 4 GiB.
 *
 *     0        8                                   byteLength ≤ 2^32
 *     ├────────┼──────────────────────────────────────┤
 *     NULL     every other address
 *
 * The address that a caller gets is that of a block's payload, and branded, so that the compiler refuses
 * other numbers. Inside the library an address is often kept as a count of 8-byte units: those stay small
 * integers in V8 up to 4 GiB, while byte addresses of 2 GiB and more may become boxed numbers. Shifts on
 * addresses are `>>>`, never `>>`.
 */

declare const brand: unique symbol;

/** A payload's address in bytes from the buffer's start; 0 is {@link NULL}. */
export type Address = number & { readonly [brand]: 'payload' };

/** The address of nothing. `alloc` answers it when exhausted; `free(NULL)` does nothing. */
export const NULL = 0 as Address;

/** 1,024 bytes. */
export const KiB = 1024;
/** 1,024 KiB. */
export const MiB = 1024 * KiB;
/** 1,024 MiB. */
export const GiB = 1024 * MiB;

/** One past the largest address: 4 GiB. */
export const ADDRESS_LIMIT = 4 * GiB;

/** The alignment of every payload, in bytes, and the granularity of every block. */
export const UNIT = 8;

/**
 * Turns a number that came from elsewhere (a message, a file, a stored word) into an address.
 *
 * @param value an integer from 0 to 2^32 - 1
 * @throws RangeError when it is anything else
 */
export function toAddress(value: number): Address {
  if (typeof value === 'number' && value >>> 0 === value) return value as Address;
  throw new RangeError(`not an address: ${String(value)} (want an integer from 0 to 2^32 - 1)`);
}

/** The lowest multiple of `align` (a power of two) that is not below `value`. Both up to 2^52. */
export function alignUp(value: number, align: number): number {
  const over = value % align;
  return over === 0 ? value : value + (align - over);
}

/** The highest multiple of `align` (a power of two) that is not above `value`. */
export function alignDown(value: number, align: number): number {
  return value - (value % align);
}

/** The largest power of two that divides `address`: how far it happens to be aligned. 0 for 0. */
export function naturalAlign(address: number): number {
  return (address & -address) >>> 0;
}
