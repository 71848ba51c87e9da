/**
 * Type tests: `type _ = Expect<Equal<Actual, Wanted>>` fails to compile unless the two are the same type,
 * and `// @ts-expect-error` fails to compile unless the next line is an error.
 * The files `*.test-d.ts` are checked by `npm run check`; they are never run.
 */

/** The same type, not merely assignable both ways: `any` and readonly properties are told apart. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export type Expect<T extends true> = T;
