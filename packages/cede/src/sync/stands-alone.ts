/** For messages about `new Queue({ maxSize: 10 })`: the number was expected by itself. */

/** What to write instead, if `found` is an object; else nothing. `act` is the call: `new Queue()`. */
export function standsAlone(act: string, found: unknown): string {
  if (typeof found !== 'object' || found === null || !act.endsWith('()')) return ''
  const number = Object.values(found).find((value) => typeof value === 'number') ?? 10
  return `; the number stands alone, before any options: write \`${act.slice(0, -1)}${String(number)})\``
}
