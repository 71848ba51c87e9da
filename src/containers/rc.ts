/**
 * Rc: Arc's twin for one thread. Counts with plain stores, and no block for each reference.
 *
 *     block ┌ 'RC__' ┬ hash ┬ strong ┬ weak ┬ token ┬ 0 ┬ struct ────┐
 *           └────────┴──────┴────────┴──────┴───────┴───┴────────────┘
 *           0        4      8        12     16          24 ▲ payload, 8-aligned
 *
 *     strong   how many Rcs there are          weak   RcWeaks, and 1 for all strong ones together
 *     token    the thread that may use it: another one that comes by the address gets WrongThreadError
 *
 * The last Rc drops the struct, the last of all frees the block. Rcs that own each other in a circle never
 * go: let one of them be an RcWeak. When the thread dies its references are gone with it, so the block,
 * LIVE and the thread's own, is dropped as a whole.
 */

import './field-words.ts';
import { OutOfMemoryError, WrongThreadError } from '../errors.ts';
import { type Address, NULL } from '../memory/address.ts';
import { dropOwned, registerKind } from '../structs/drop.ts';
import type { AnyStructType, Init, View } from '../structs/inference.ts';
import { layHeader } from './container.ts';
import { bindingIn, fill } from './owned-struct.ts';
import { Owner, typeAt } from './owner.ts';
import { type ContainerStore, homeOf } from './store.ts';

/** From the block's start, in bytes. */
const STRONG = 8;
const WEAK = 12;
const TOKEN = 16;
const PAYLOAD = 24;
/** The most Rcs or RcWeaks that are counted. */
const MOST = 2 ** 32 - 1;

const RC: number = registerKind('RC__', (dropper, address) => {
  const hash = dropper.store.memory.u32[(address >>> 2) + 1]!;
  dropper.pushOwned(dropper.owningOf(hash), address + PAYLOAD);
  dropper.free(address);
});

/** What Rc and RcWeak share. */
abstract class Counted<T extends AnyStructType> extends Owner {
  /** The struct's type. */
  readonly type: T;
  readonly #word: number;

  /** @param word from the block's start to the count of such references, in bytes */
  protected constructor(store: ContainerStore, block: Address, type: T, word: number) {
    super(store, block);
    this.type = type;
    this.#word = word;
  }

  /** How many Rcs there are. */
  get strongCount(): number {
    return this.count(STRONG);
  }

  /** How many RcWeaks there are. */
  get weakCount(): number {
    return this.count(WEAK) - (this.count(STRONG) === 0 ? 0 : 1);
  }

  /**
   * Gives up this reference by the block's address, for `fromAddress` in this thread. The count stays, and
   * the block stays the thread's own.
   */
  override intoAddress(): Address {
    this.checkLive();
    return this.leave(true);
  }

  /** Rcs do not leave their thread. */
  override $moveInto(): never {
    throw new TypeError(`the ${this.what} is bound to its thread: a field cannot own it`);
  }

  override get handle(): never {
    throw new TypeError(`the ${this.what} is bound to its thread: use an Arc to share between threads`);
  }

  protected override get what(): string {
    return `${this.kind} of ${this.type.name}`;
  }

  protected count(word: number): number {
    this.checkLive();
    return this.store.memory.u32[(this.address + word) >>> 2]!;
  }

  /** Counts a reference up and gives the block. */
  protected add(word: number): Address {
    const count = this.count(word);
    if (count === MOST)
      throw new RangeError(`this ${this.what} has ${MOST} references, the most that are counted`);
    this.store.memory.u32[(this.address + word) >>> 2] = count + 1;
    return this.address;
  }

  protected override end(block: Address): void {
    const { store, type } = this;
    const { u32 } = store.memory;
    const left = --u32[(block + this.#word) >>> 2]!;
    if (left !== 0) return;
    if (this.#word === STRONG) {
      dropOwned(homeOf(store), bindingIn(type, store).type.owning, block + PAYLOAD);
      if (--u32[(block + WEAK) >>> 2]! !== 0) return;
    }
    store.free(block);
  }
}

/** A struct with many owners in one thread: this is one of them. */
export class Rc<T extends AnyStructType = AnyStructType> extends Counted<T> {
  protected override readonly kind = 'Rc';

  /** Use `create`, `clone` or `fromAddress`. */
  private constructor(store: ContainerStore, block: Address, type: T) {
    super(store, block, type, STRONG);
    this.begin();
  }

  /**
   * Makes a struct and its first owner. Fields that `init` does not name are zero.
   *
   * @throws OutOfMemoryError when there is no room
   * @throws TypeError when `init` names an unknown field or holds what a field does not take
   */
  static create<T extends AnyStructType>(store: ContainerStore, type: T, init?: Init<T> | View<T>): Rc<T> {
    const binding = bindingIn(type, store);
    const block = store.allocZeroed(PAYLOAD + binding.size);
    if (block === NULL) throw new OutOfMemoryError(PAYLOAD + binding.size, `an Rc of ${type.name}`);
    layHeader(store, block, RC, type.hash);
    const { u32 } = store.memory;
    u32[(block + STRONG) >>> 2] = 1;
    u32[(block + WEAK) >>> 2] = 1;
    u32[(block + TOKEN) >>> 2] = store.thread.token;
    const rc = new Rc(store, block, type);
    if (init === undefined) return rc;
    try {
      fill(binding, block + PAYLOAD, init);
    } catch (error) {
      rc.drop();
      throw error;
    }
    return rc;
  }

  /**
   * Adopts the reference that `intoAddress()` gave up. That nobody else adopts it is up to the caller.
   *
   * @throws WrongThreadError when the Rc is another thread's
   * @throws RangeError, AttachError when no Rc of the type lies there
   */
  static fromAddress<T extends AnyStructType>(store: ContainerStore, address: Address, type?: T): Rc<T> {
    const found = typeAt(store, address, RC, type);
    const token = store.memory.u32[(address + TOKEN) >>> 2]!;
    if (token !== store.thread.token) throw new WrongThreadError(address, 'Rc', store.thread.nameOf(token));
    return new Rc(store, address, found);
  }

  /** Whether two Rcs own the same. */
  static isSame<T extends AnyStructType>(one: Rc<T>, other: Rc<T>): boolean {
    one.checkLive();
    other.checkLive();
    return one.address === other.address && one.store.id === other.store.id;
  }

  /** Makes an Rc of a reference that is counted. */
  static $own<T extends AnyStructType>(store: ContainerStore, block: Address, type: T): Rc<T> {
    return new Rc(store, block, type);
  }

  /**
   * The struct. The view borrows: after a drop it shows nothing.
   *
   * @throws UseAfterMoveError, ReferenceError when the Rc owns nothing any more
   */
  get value(): View<T> {
    this.checkLive();
    return this.borrow(this.type, this.address + PAYLOAD);
  }

  /** Another owner of the same. */
  clone(): Rc<T> {
    return new Rc(this.store, this.add(STRONG), this.type);
  }

  /** A link that does not own, and can be turned into an Rc as long as there is one. */
  downgrade(): RcWeak<T> {
    return RcWeak.$own(this.store, this.add(WEAK), this.type);
  }

  /** That of the struct; null once dropped or moved. */
  toJSON(): unknown {
    return this.address === NULL ? null : this.value.toJSON();
  }
}

/** A link to what Rcs own, which does not keep it. */
export class RcWeak<T extends AnyStructType = AnyStructType> extends Counted<T> {
  protected override readonly kind = 'RcWeak';

  /** Use `rc.downgrade()`. */
  private constructor(store: ContainerStore, block: Address, type: T) {
    super(store, block, type, WEAK);
    this.begin();
  }

  /** Makes an RcWeak of a reference that is counted. */
  static $own<T extends AnyStructType>(store: ContainerStore, block: Address, type: T): RcWeak<T> {
    return new RcWeak(store, block, type);
  }

  /** A new Rc, or undefined when the last one is gone. */
  upgrade(): Rc<T> | undefined {
    return this.count(STRONG) === 0 ? undefined : Rc.$own(this.store, this.add(STRONG), this.type);
  }

  /** Another link to the same. */
  clone(): RcWeak<T> {
    return new RcWeak(this.store, this.add(WEAK), this.type);
  }

  /** Where what it links to lies; null when that is gone, and once dropped. */
  toJSON(): number | null {
    return this.address === NULL || this.strongCount === 0 ? null : this.address + PAYLOAD;
  }

  /** @throws TypeError: there is no `RcWeak.fromAddress` */
  override intoAddress(): never {
    throw new TypeError('an RcWeak cannot be given up by its address');
  }
}
