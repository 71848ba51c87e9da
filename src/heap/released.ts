/** Stand-ins for what was given up: an object that throws on every use, so that no use needs a check. */

/** An object of any type, each use of which throws what `error` makes. */
export function refusing<T extends object>(error: () => Error): T {
  return new Proxy({} as T, {
    get(): never {
      throw error();
    },
    // `instanceof` asks for it.
    getPrototypeOf(): never {
      throw error();
    },
  });
}
