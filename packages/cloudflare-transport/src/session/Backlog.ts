/**
 * The bytes that wait for the slow readers of one object, beyond what each may leave unread: one number for all,
 * as they lie in one process. A socket that was closed counts until its client has answered that, as its bytes
 * stay until then.
 */
import type { Limits } from "../protocol/Limits.ts"

export type BacklogLimits = Pick<Limits, "maxBacklog" | "maxMessageSize">

export class Backlog {
  readonly #limits: BacklogLimits
  readonly #wakeAll: () => void
  #isCounted = false
  #bytes = 0

  /** `wakeAll` makes every reader of the object say its part: those of an earlier life of it have not yet. */
  constructor(limits: BacklogLimits, wakeAll: () => void) {
    this.#limits = limits
    this.#wakeAll = wakeAll
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The part of one reader has changed by so many bytes. */
  change(bytes: number): void {
    this.#bytes += bytes
  }

  /** Whether there is no room for one more message of any size. */
  get isFull(): boolean {
    return this.#counted + this.#limits.maxMessageSize > this.#limits.maxBacklog
  }

  /** Whether it is more than it may be: some reader must go. */
  get isOver(): boolean {
    return this.#counted > this.#limits.maxBacklog
  }

  /** Asked first when some reader is behind: an object without slow readers never looks at all of its sockets. */
  get #counted(): number {
    if (!this.#isCounted) {
      this.#isCounted = true
      this.#wakeAll()
    }
    return this.#bytes
  }
}
