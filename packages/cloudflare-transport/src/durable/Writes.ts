/** A step of the database: its writes together or not at all, and what follows from them after. */
import type { Sql } from "../object/Sql.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

export class Writes {
  readonly #sql: Sql
  readonly #alarm: Pick<DurableAlarm, "within">
  /** What follows from those that are being made; `undefined`: none are. */
  #after: Array<() => void> | undefined
  #isOpen = false

  constructor(sql: Sql, alarm: Pick<DurableAlarm, "within">) {
    this.#sql = sql
    this.#alarm = alarm
  }

  /** Writes together, and then does what follows from it. */
  readonly transaction = (writes: () => void): void => {
    if (this.#isOpen) return writes()
    this.step(() => {
      this.#isOpen = true
      try {
        this.#alarm.within(() => this.#sql.transaction(writes))
      } finally {
        this.#isOpen = false
      }
    })
  }

  /** The same for what hardly ever writes, and then one row: a transaction costs more than all else it does. */
  readonly step = (work: () => void): void => {
    if (this.#after !== undefined) return work()
    const after: Array<() => void> = []
    this.#after = after
    try {
      work()
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
