/** An ask that is open, with its time limit, wherever the actor is. Ends once. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ActorCell } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import * as AskError from "./AskError.ts"
import { Deadline } from "./Deadlines.ts"
import type { Addressed } from "./Message.ts"
import type * as Protocol from "./Protocol.ts"
import type { Runtime } from "./Runtime.ts"

/** What a reference knows of where its messages go. */
export interface Target extends Addressed {
  readonly runtime: Runtime
  readonly protocol: Protocol.Any
  readonly sender: Addressed | null
  readonly cell: ActorCell | null
}

export type Ended = (exit: Exit.Exit<unknown, unknown>) => void

export abstract class Asking extends Deadline {
  readonly runtime: Runtime
  readonly name: string
  readonly sender: Addressed | null
  readonly #target: Addressed
  /** Its time limit, milliseconds. */
  readonly millis: number
  #ended: Ended | null

  constructor(target: Target, name: string, millis: number, ended: Ended) {
    super()
    this.runtime = target.runtime
    this.sender = target.sender
    this.name = name
    this.#target = target
    this.millis = millis
    this.#ended = ended
  }

  get address(): Address {
    return this.#target.address
  }

  get open(): boolean {
    return this.#ended !== null
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const ended = this.#ended
    if (ended === null) return
    this.#ended = null
    this.runtime.deadlines.clear(this)
    ended(exit)
  }

  /** Tells who was asked that nobody waits any more. */
  abstract abandon(): void

  get giveUp(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#ended === null) return
      this.#ended = null
      this.runtime.deadlines.clear(this)
      this.abandon()
    })
  }

  override fire(): void {
    this.abandon()
    const message = `${this.address} did not answer "${this.name}" within ${this.millis} ms`
    this.end(Exit.fail(new AskError.AskTimeout({ message })))
  }
}
