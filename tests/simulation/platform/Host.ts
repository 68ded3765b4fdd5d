/**
 * Whoever runs code: a client's process, the Worker, one life of a Durable Object in memory. What code does
 * is done as its host: the clock it reads, its timers, its randomness, whether anything of it is heard.
 */
import type { Random } from "./Random.ts"

export class Host {
  readonly name: string
  readonly random: Random
  /** The dead run nothing, and what they still do has no effect. */
  isAlive = true
  /** How far its clock is ahead, in milliseconds. */
  clockOffset = 0
  /** Timers that are set, and calls that are not answered. */
  timers = 0
  calls = 0
  /** The last id that a message got. */
  lastId = ""
  #ids = 0

  constructor(name: string, random: Random) {
    this.name = name
    this.random = random
  }

  /** A message id: each process counts its own. */
  messageId(): string {
    return (this.lastId = `${this.name}-${(this.#ids++).toString(36)}`)
  }

  /** Does what others notice. */
  output(task: () => void): void {
    if (this.isAlive) task()
  }

  /** What it was called for is done, with all microtasks. */
  endTurn(): void {}
}
