/**
 * Memory: fixed-length views of every element type over one plain `SharedArrayBuffer`.
 *
 *     u8[address]   u16[address >>> 1]   u32[address >>> 2]   f64[address >>> 3]
 *
 * Views over growable buffers cost 16 to 34 ns an access in V8, so growable buffers are refused: a
 * heap reserves its whole buffer at once (pages are committed when touched) and claims more of it.
 */

import { isolationProblem } from '#platform';
import { hex, show } from '../errors.ts';
import { ADDRESS_LIMIT, type Address, alignDown, alignUp, UNIT } from './address.ts';
import { checkInteger } from './layout.ts';

/** The typed arrays that {@link Memory.view} makes. */
export type ViewConstructor =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Uint8ClampedArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor;

const SMALL = 256;

/** One thread's views of a shared buffer. Cheap to make; every thread makes its own. */
export class Memory {
  /** The shared bytes. */
  readonly buffer: SharedArrayBuffer;
  /** Bytes that have addresses: the buffer's length, rounded down to a multiple of 8. */
  readonly byteLength: number;
  readonly i8: Int8Array<SharedArrayBuffer>;
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly i16: Int16Array<SharedArrayBuffer>;
  readonly u16: Uint16Array<SharedArrayBuffer>;
  readonly i32: Int32Array<SharedArrayBuffer>;
  readonly u32: Uint32Array<SharedArrayBuffer>;
  readonly i64: BigInt64Array<SharedArrayBuffer>;
  readonly u64: BigUint64Array<SharedArrayBuffer>;
  readonly f32: Float32Array<SharedArrayBuffer>;
  readonly f64: Float64Array<SharedArrayBuffer>;

  private constructor(buffer: SharedArrayBuffer) {
    const length = alignDown(buffer.byteLength, UNIT);
    this.buffer = buffer;
    this.byteLength = length;
    this.i8 = new Int8Array(buffer, 0, length);
    this.u8 = new Uint8Array(buffer, 0, length);
    this.i16 = new Int16Array(buffer, 0, length / 2);
    this.u16 = new Uint16Array(buffer, 0, length / 2);
    this.i32 = new Int32Array(buffer, 0, length / 4);
    this.u32 = new Uint32Array(buffer, 0, length / 4);
    this.i64 = new BigInt64Array(buffer, 0, length / 8);
    this.u64 = new BigUint64Array(buffer, 0, length / 8);
    this.f32 = new Float32Array(buffer, 0, length / 4);
    this.f64 = new Float64Array(buffer, 0, length / 8);
  }

  /**
   * Makes a zeroed buffer and views over it.
   *
   * @param byteLength bytes, 8 to 4 GiB; rounded up to a multiple of 8
   * @throws RangeError when out of that range, or when the runtime refuses so large a buffer
   */
  static create(byteLength: number): Memory {
    checkInteger('byteLength', byteLength, UNIT, ADDRESS_LIMIT);
    const Shared = sharedArrayBuffer();
    try {
      return new Memory(new Shared(alignUp(byteLength, UNIT)));
    } catch (cause) {
      throw new RangeError(`there is no room for a buffer of ${byteLength} bytes`, { cause });
    }
  }

  /**
   * Makes views over a buffer that another thread made.
   *
   * @throws TypeError when it is no `SharedArrayBuffer`, or a growable one
   * @throws RangeError when it is shorter than 8 bytes or longer than 4 GiB
   */
  static attach(buffer: SharedArrayBuffer): Memory {
    if (!(buffer instanceof sharedArrayBuffer())) {
      throw new TypeError(`buffer must be a SharedArrayBuffer, got ${show(buffer)}`);
    }
    if ((buffer as { growable?: boolean }).growable) {
      throw new TypeError(
        'growable buffers are refused (views over them are slow): reserve the whole length instead',
      );
    }
    checkInteger('buffer.byteLength', buffer.byteLength, UNIT, ADDRESS_LIMIT);
    return new Memory(buffer);
  }

  /**
   * A view of raw bytes. Valid as long as the block that they belong to.
   *
   * @throws RangeError when the bytes do not lie inside the memory
   */
  bytes(address: Address, size: number): Uint8Array<SharedArrayBuffer> {
    this.#checkRange(address, size, 1);
    return new Uint8Array(this.buffer, address, size);
  }

  /**
   * A typed array of `count` elements at `address`: `memory.view(Float32Array, address, 16)`.
   *
   * @throws RangeError when misaligned for the element or not inside the memory
   */
  view<C extends ViewConstructor>(View: C, address: Address, count: number): InstanceType<C> {
    checkInteger('count', count, 0, this.byteLength);
    this.#checkRange(address, count * View.BYTES_PER_ELEMENT, View.BYTES_PER_ELEMENT);
    return new (View as Float64ArrayConstructor)(this.buffer, address, count) as unknown as InstanceType<C>;
  }

  /** Zeroes a block's first `size` bytes. Unchecked: it must start at a multiple of 8 and hold so much. */
  zero(address: Address, size: number): void {
    if (size > SMALL) {
      this.u8.fill(0, address, address + size);
      return;
    }
    // Below this a loop beats the call of a builtin.
    const first = address >>> 3;
    const units = size >>> 3;
    for (let unit = first + units - 1; unit >= first; unit--) this.f64[unit] = 0;
    if ((size & 4) !== 0) this.u32[(first + units) * 2] = 0;
    for (let at = size & ~3; at < size; at++) this.u8[address + at] = 0;
  }

  #checkRange(address: number, size: number, align: number): void {
    checkInteger('address', address, 0, this.byteLength);
    checkInteger('size', size, 0, this.byteLength);
    if (address + size > this.byteLength) {
      throw new RangeError(
        `${size} bytes at ${hex(address)} reach past the end of the memory (${hex(this.byteLength)})`,
      );
    }
    if (address % align !== 0) throw new RangeError(`${hex(address)} is not aligned to ${align} bytes`);
  }
}

/** `SharedArrayBuffer`, or an error that says how to get one. */
function sharedArrayBuffer(): SharedArrayBufferConstructor {
  const problem = isolationProblem();
  if (problem !== undefined) throw new TypeError(problem);
  if (typeof SharedArrayBuffer === 'undefined') throw new TypeError('this runtime has no SharedArrayBuffer');
  return SharedArrayBuffer;
}
