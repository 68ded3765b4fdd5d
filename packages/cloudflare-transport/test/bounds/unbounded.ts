import type { Bounds } from "./table.ts"

/** Those that have no bound in the table, and entries of the table that are about nothing. */
export const unbounded = (found: ReadonlyArray<string>, bounds: Bounds) => {
  const used = new Set<string>()
  const without = found.filter((where) => {
    const keys = Object.keys(bounds).filter((key) =>
      key.startsWith("*") ? where.endsWith(key.slice(1)) : where === key,
    )
    for (const key of keys) used.add(key)
    return keys.length === 0
  })
  return { without, stale: Object.keys(bounds).filter((key) => !used.has(key) && !key.startsWith("*")) }
}
