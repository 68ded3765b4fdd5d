/**
 * Runs tasks that lead to further ones without nesting their stacks: a task that is given runs when the task
 * that gave it is over, and before what was given earlier, as if it had been called. A tree of actors ends by
 * this, which may be nested deeper than a stack is.
 */
export class Trampoline {
  /** The tasks that the running one has given; `null`: none runs. */
  #given: Array<() => void> | null = null

  /**
   * Runs the task now, and all that is given meanwhile, before this returns. A task that throws keeps none of
   * the others from running: what it threw is thrown at the end, the first of several.
   */
  run(task: () => void): void {
    const outer = this.#given
    const given: Array<() => void> = []
    this.#given = given
    const stack = [task]
    let thrown: { readonly error: unknown } | undefined
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      try {
        next()
      } catch (error) {
        thrown ??= { error }
      }
      while (given.length > 0) stack.push(given.pop()!)
    }
    this.#given = outer
    if (thrown !== undefined) throw thrown.error
  }

  /** Runs the task when the one that runs is over; where none does, now. */
  give(task: () => void): void {
    if (this.#given === null) this.run(task)
    else this.#given.push(task)
  }
}
