/** Something that is under way elsewhere and ends once, told synchronously to whoever waits for it. */

/** The side of it that waits. */
export interface Coming<A> {
  /** Tells the result when it is there; at once where it is. */
  whenDone(waiting: (value: A) => void): void
}

export class Pending<A> implements Coming<A> {
  #result: { readonly value: A } | undefined
  #waiting: Array<(value: A) => void> = []

  settle(value: A): void {
    if (this.#result !== undefined) return
    this.#result = { value }
    for (const waiting of this.#waiting.splice(0)) waiting(value)
  }

  whenDone(waiting: (value: A) => void): void {
    if (this.#result === undefined) this.#waiting.push(waiting)
    else waiting(this.#result.value)
  }
}

/** Tells the results of all, in their order, when the last is there; at once where there are none. */
export const whenAll = <A>(
  all: ReadonlyArray<Coming<A>>,
  done: (results: ReadonlyArray<A>) => void,
): void => {
  const results: Array<A> = []
  let open = all.length
  if (open === 0) return done(results)
  for (const [at, one] of all.entries()) {
    one.whenDone((value) => {
      results[at] = value
      if (--open === 0) done(results)
    })
  }
}
