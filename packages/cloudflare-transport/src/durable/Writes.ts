/** The writes of one step: together or not at all, and what follows from them after. */
import type { Sql } from "../storage/Sql.ts"

export class Writes {
  readonly #sql: Sql
  /** What follows from those that are being made; `undefined`: none are. */
  #after: Array<() => void> | undefined

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Writes together, and then does what follows from it. */
  readonly transaction = (writes: () => void): void => {
    if (this.#after !== undefined) return writes()
    const after: Array<() => void> = []
    this.#after = after
    try {
      this.#sql.transaction(writes)
    } finally {
      this.#after = undefined
    }
    for (const task of after) task()
  }

  /** Runs what follows once what is being written is. */
  readonly follow = (task: () => void): void => {
    if (this.#after === undefined) task()
    else this.#after.push(task)
  }
}
