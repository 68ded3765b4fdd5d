/**
 * The taking end of a stream of answers: what came and was not read yet, and the demand for more. Its
 * reader may fall behind by as much as was demanded, never by more.
 *
 * The time limit is that for the next element while the reader waits for one; while it does not, there is
 * none. An actor elsewhere is told now and then that the stream is still wanted.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Address } from "./Address.ts"
import { INITIAL_DEMAND } from "./StreamPart.ts"
import * as AskError from "./AskError.ts"
import type { Target } from "./Asking.ts"
import type { AskSpan } from "./ActorTracing.ts"
import { Deadline } from "./Deadlines.ts"
import type { Addressed } from "./Message.ts"
import type { Runtime } from "./Runtime.ts"

/** Milliseconds without a word from or to an actor elsewhere, after which it is told to go on. */
export const KEEP_ALIVE = 15_000

/** How a stream ends that was read to its end, or as far as was wanted. */
const END: Exit.Exit<never, unknown> = Exit.fail(Cause.Done())

type Elements = Arr.NonEmptyReadonlyArray<unknown>
type Reader = (next: Effect.Effect<Elements, unknown>) => void

export abstract class StreamIntake extends Deadline {
  readonly runtime: Runtime
  readonly name: string
  readonly sender: Addressed | null
  /** The time limit, milliseconds; `null`: none. */
  readonly millis: number | null
  readonly #target: Addressed
  readonly #window: number
  /** Milliseconds after which a silent stream is kept going; `Infinity` in this process. */
  readonly #keepAlive: number
  #elements: Array<unknown> = []
  /** How many may still come. */
  #open = INITIAL_DEMAND
  /** How many were read and not demanded anew. */
  #read = 0
  #end: Exit.Exit<never, unknown> | undefined
  /** Told how it ended. */
  #span: AskSpan | undefined
  #reader: Reader | undefined
  /** When the reader began to wait, monotonic milliseconds. */
  #waitsSince = 0
  /** When the two ends last heard of one another, monotonic milliseconds. */
  #heardAt: number

  constructor(target: Target, name: string, millis: number | null, window: number, remote: boolean) {
    super()
    this.runtime = target.runtime
    this.sender = target.sender
    this.name = name
    this.millis = millis
    this.#target = target
    this.#window = Math.max(INITIAL_DEMAND, Math.floor(window))
    // At least 1 ms, as a deadline that is always due would never let go of its fiber.
    this.#keepAlive = remote ? Math.max(1, Math.min(KEEP_ALIVE, (millis ?? Infinity) / 2)) : Infinity
    this.#heardAt = this.runtime.now()
  }

  get address(): Address {
    return this.#target.address
  }

  get open(): boolean {
    return this.#end === undefined
  }

  /** Tells who was asked that so many more may come. */
  abstract demand(n: number): void

  /** Tells who was asked that nobody wants more. */
  abstract abandon(): void

  /** Traces it to its end. */
  traced(span: AskSpan): void {
    if (this.#end === undefined) this.#span = span
    else span.end(this.#end)
  }

  /** Begins: to be called once the ask has left. */
  begin(): void {
    if (this.#window > INITIAL_DEMAND) this.#grant(this.#window - INITIAL_DEMAND)
    this.#arm()
  }

  /** An element came. Whether it was wanted. */
  push(value: unknown): boolean {
    if (this.#end !== undefined) return true
    if (this.#open === 0) return false
    this.#open--
    this.#heardAt = this.runtime.now()
    this.#elements.push(value)
    this.#give()
    return true
  }

  /** Nothing more comes, after what came. */
  finish(end: Exit.Exit<never, unknown>): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#span?.end(end === END ? Exit.void : end)
    this.runtime.deadlines.clear(this)
    this.#give()
  }

  fail(error: unknown): void {
    this.finish(Exit.fail(error))
  }

  done(): void {
    this.finish(END)
  }

  /** The next elements, at least one, as soon as there are some; or how the stream ended. */
  readonly read: Effect.Effect<Elements, unknown> = Effect.callback((resume) => {
    this.#reader = resume
    this.#waitsSince = this.runtime.now()
    this.#give()
    if (this.#reader === undefined) return
    this.#arm()
    return Effect.sync(() => void (this.#reader = undefined))
  })

  /** Nobody reads any more; who still waits gets this end. */
  close(end: Exit.Exit<never, unknown> = END): void {
    if (this.#end !== undefined) return
    this.finish(end)
    this.abandon()
  }

  override fire(): void {
    const now = this.runtime.now()
    const { millis } = this
    if (this.#reader !== undefined && millis !== null && now >= this.#waitsSince + millis) {
      this.abandon()
      const message = `${this.address} gave no next element of "${this.name}" within ${millis} ms`
      return this.fail(new AskError.AskTimeout({ message }))
    }
    if (now >= this.#heardAt + this.#keepAlive) this.#grant(0)
    this.#arm()
  }

  #give(): void {
    const reader = this.#reader
    if (reader === undefined) return
    const elements = this.#elements
    if (Arr.isArrayNonEmpty(elements)) {
      this.#reader = undefined
      this.#elements = []
      reader(Effect.succeed(elements))
      this.#read += elements.length
      if (this.#read >= this.#window / 2 && this.#end === undefined) {
        const n = this.#read
        this.#read = 0
        this.#grant(n)
      }
    } else if (this.#end !== undefined) {
      this.#reader = undefined
      reader(this.#end)
    }
  }

  #grant(n: number): void {
    this.#open += n
    this.#heardAt = this.runtime.now()
    this.demand(n)
  }

  /** For what is due first; a time that has moved away meanwhile is only looked at. */
  #arm(): void {
    if (this.#end !== undefined) return
    const waits =
      this.#reader !== undefined && this.millis !== null ? this.#waitsSince + this.millis : Infinity
    const at = Math.min(waits, this.#heardAt + this.#keepAlive)
    if (at !== Infinity && (this.index < 0 || at < this.at)) this.runtime.deadlines.set(this, at)
  }
}
