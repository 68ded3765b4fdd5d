/** Who was spawned by whom: children of one parent, in that order, linked through themselves. */

/** Those that have one parent, or none. */
export interface Family<T> {
  first: T | null
  last: T | null
}

/** One of a family, and the parent of its own. */
export abstract class Kin<T extends Kin<T>> implements Family<T> {
  readonly family: Family<T>
  first: T | null = null
  last: T | null = null
  /** Who was spawned before it, and behind it, by the same parent. */
  before: T | null = null
  behind: T | null = null

  constructor(family: Family<T>) {
    this.family = family
  }

  /** Becomes the last of its family. */
  join(this: T): void {
    const { family } = this
    this.before = family.last
    if (family.last === null) family.first = this
    else family.last.behind = this
    family.last = this
  }

  leave(this: T): void {
    const { before, behind, family } = this
    if (before === null) family.first = behind
    else before.behind = behind
    if (behind === null) family.last = before
    else behind.before = before
    this.before = null
    this.behind = null
  }
}

/** All of a family, first to last. */
export const members = <T extends Kin<T>>(family: Family<T>): ReadonlyArray<T> => {
  const all: Array<T> = []
  for (let one = family.first; one !== null; one = one.behind) all.push(one)
  return all
}
