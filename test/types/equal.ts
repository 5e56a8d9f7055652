// Type tests are programs that are compiled and never run: `expectType<Wanted>()(expression)` accepts exactly that
// type, and `@ts-expect-error` demands that the next line is refused. `npm run types` compiles them on both
// compilers.

/** Equal in both directions and in every modifier; `any` equals only itself. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** A call that the compiler accepts only if the argument has exactly the type named. */
export function expectType<Wanted>(): <Found>(
  value: Found,
  ...equal: Equal<Wanted, Found> extends true ? [] : [never]
) => void {
  return () => {}
}
