/**
 * What an actor may answer a stream with, and how its elements are pulled: an Effect `Stream`, an async
 * iterable, or a function that emits.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** Why `emit` rejects: nobody reads the stream any more, or its actor has ended. */
export class StreamOver extends Data.TaggedError("StreamOver")<{ readonly message: string }> {}

/**
 * Gives an element; the promise resolves once it is wanted, so that who waits for it goes as fast as the
 * asker reads. Rejects with `StreamOver` once nobody reads any more.
 */
export type Emit<A> = (value: A) => Promise<void>

/** Emits, until it returns or its promise resolves. `over` resolves when the stream is over before. */
export type Emitting<A> = (emit: Emit<A>, over: Promise<void>) => void | Promise<void>

/**
 * What a stream is answered with. A typed error is that of the Effect `Stream`; an iterable and a function
 * throw it.
 */
export type StreamSource<A, E, R = never> = Stream.Stream<A, E, R> | AsyncIterable<A> | Emitting<A>

/** Elements that a function may emit without waiting, before that is taken for a failure. */
const EMIT_LIMIT = 1_000

/** The next elements of a source, or its end. */
export type Pull = Effect.Effect<ReadonlyArray<unknown>, unknown>

/** Begins with the source; it is let go with the scope. */
export const pull = (source: unknown): Effect.Effect<Pull, unknown, Scope.Scope> => {
  if (Stream.isStream(source)) {
    // The services that it needs are those that the actor runs in, as the types of handlers say.
    return Stream.toPull(source as Stream.Stream<unknown, unknown>)
  }
  if (typeof source === "function")
    return Effect.map(emitted(source as Emitting<unknown>), ({ next }) => next)
  if (typeof source === "object" && source !== null && Symbol.asyncIterator in source) {
    return iterated(source as AsyncIterable<unknown>)
  }
  return Effect.die(
    new TypeError("a stream is answered by a Stream, an async iterable or a function that emits"),
  )
}

/** What plain code throws is a defect; whether it is the message's typed error, its schema says. */
const iterated = (source: AsyncIterable<unknown>): Effect.Effect<Pull, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => ({ iterator: source[Symbol.asyncIterator](), busy: false })),
      (state) =>
        Effect.suspend(() => {
          const returned = state.iterator.return?.()
          // Where it is at something, it ends after that, which may be never.
          return state.busy || returned === undefined ? quietly(returned) : Effect.promise(() => returned)
        }),
    ),
    (state) =>
      Effect.callback((resume) => {
        const came = (next: Pull): void => {
          state.busy = false
          resume(next)
        }
        state.busy = true
        state.iterator.next().then(
          ({ done, value }) => came(done === true ? Cause.done() : Effect.succeed([value])),
          (thrown: unknown) => came(Effect.die(thrown)),
        )
      }),
  )

const quietly = (promise: Promise<unknown> | undefined): Effect.Effect<void> =>
  Effect.sync(() => void promise?.catch(() => {}))

const emitted = (source: Emitting<unknown>): Effect.Effect<Emission, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Emission(source)),
    (emission) => Effect.sync(() => emission.end()),
  )

const OVER = { message: "nobody reads the stream any more" }

/** What a function has emitted, on its way. */
class Emission {
  readonly #source: Emitting<unknown>
  readonly #over = Promise.withResolvers<void>()
  #closed = false
  #waiting: Array<{ readonly value: unknown; readonly taken: PromiseWithResolvers<void> }> = []
  #begun = false
  #ended: Pull | undefined
  #reader: ((next: Pull) => void) | undefined

  constructor(source: Emitting<unknown>) {
    this.#source = source
  }

  readonly next: Pull = Effect.callback<ReadonlyArray<unknown>, unknown>((resume) => {
    this.#reader = resume
    if (!this.#begun) {
      this.#begun = true
      this.#begin()
    }
    this.#give()
    return Effect.sync(() => void (this.#reader = undefined))
  })

  /** Nobody reads any more. */
  end(): void {
    this.#end(Effect.never)
    const waiting = this.#waiting
    this.#waiting = []
    this.#closed = true
    this.#over.resolve()
    for (const { taken } of waiting) taken.reject(new StreamOver(OVER))
  }

  #begin(): void {
    new Promise<void>((resolve) => resolve(this.#source(this.#emit, this.#over.promise))).then(
      () => this.#end(Cause.done()),
      (thrown: unknown) => this.#end(Effect.die(thrown)),
    )
  }

  readonly #emit: Emit<unknown> = (value) => {
    const taken = Promise.withResolvers<void>()
    // Who does not wait for it need not hear of it either.
    taken.promise.catch(() => {})
    if (this.#closed) taken.reject(new StreamOver(OVER))
    else if (this.#waiting.length >= EMIT_LIMIT) {
      const message = `${EMIT_LIMIT} elements were emitted that nobody wants yet: wait for each, by await emit(…)`
      taken.reject(new RangeError(message))
      this.#end(Effect.die(new RangeError(message)))
    } else {
      this.#waiting.push({ value, taken })
      this.#give()
    }
    return taken.promise
  }

  #end(how: Pull): void {
    this.#ended ??= how
    this.#give()
  }

  #give(): void {
    const reader = this.#reader
    if (reader === undefined) return
    if (this.#waiting.length > 0) {
      const given = this.#waiting
      this.#waiting = []
      this.#reader = undefined
      reader(Effect.succeed(given.map(({ value }) => value)))
      for (const { taken } of given) taken.resolve()
    } else if (this.#ended !== undefined) {
      this.#reader = undefined
      reader(this.#ended)
    }
  }
}
