/** Listeners, and the bounded ways to pull what they hear: a `Stream`, an async iterable. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TransportError } from "@signal-hub/actor-core/vocabulary"

/** Items that a reader may fall behind before its reading ends with `queue_full`. */
export const READER_LIMIT = 10_000

/** A listener where it was added; `call` is gone once it is removed. */
interface Place<A> {
  call: ((value: A) => void) | undefined
}

const NOBODY: ReadonlyArray<never> = []

/** Listeners, called in the order they were added. */
export class Emitter<A> {
  /** Never changed but replaced, so that emitting copies nothing. */
  #places: ReadonlyArray<Place<A>> = NOBODY

  /** Adds a listener, from the next value on; the result removes it, at once. */
  on(listener: (value: A) => void): () => void {
    const place: Place<A> = { call: listener }
    this.#places = [...this.#places, place]
    return () => {
      if (place.call === undefined) return
      place.call = undefined
      this.#places = this.#places.length === 1 ? NOBODY : this.#places.filter((other) => other !== place)
    }
  }

  get size(): number {
    return this.#places.length
  }

  /** A listener that throws stops no other: its error is reported as an uncaught one. */
  emit(value: A): void {
    for (const place of this.#places) {
      try {
        place.call?.(value)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

/**
 * A source of values: `on` adds a listener, `onEnd` one that is called once when there will be no more,
 * with the failure where it is one. Both return what removes the listener.
 */
export interface Source<A, E> {
  readonly on: (listener: (value: A) => void) => () => void
  readonly onEnd: (listener: (failure?: E) => void) => () => void
}

const overrun = (): TransportError =>
  new TransportError({
    reason: "queue_full",
    message: `the reader fell ${READER_LIMIT} items behind: read faster, or listen instead`,
  })

/**
 * The source as a stream that listens from now on, until the scope closes. It ends as the source does,
 * and fails `queue_full` when its reader falls too far behind.
 */
export const collect = <A, E>(
  source: Source<A, E>,
): Effect.Effect<Stream.Stream<A, E | TransportError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Queue.bounded<A, E | TransportError | Cause.Done>(READER_LIMIT)
    const fail = (failure: E | TransportError): void => void Queue.failCauseUnsafe(queue, Cause.fail(failure))
    const stops = [
      source.on((value) => {
        if (!Queue.offerUnsafe(queue, value)) fail(overrun())
      }),
      source.onEnd((failure) => (failure === undefined ? void Queue.endUnsafe(queue) : fail(failure))),
    ]
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const stop of stops) stop()
        Queue.endUnsafe(queue)
      }),
    )
    return Stream.fromQueue(queue)
  })

/** The source as a stream that listens while it runs. */
export const toStream = <A, E>(source: Source<A, E>): Stream.Stream<A, E | TransportError> =>
  Stream.unwrap(collect(source))

/**
 * The source as an async iterable, listening from this call on: what comes before the first `next` is
 * kept too. Ends with the source or by `break`; throws `queue_full` when its reader falls too far behind.
 */
export const toAsyncIterable = <A, E>(
  source: Source<A, E>,
  onReturn: () => void,
): AsyncIterableIterator<A> => {
  const kept: Array<A> = []
  let waiting: Array<PromiseWithResolvers<IteratorResult<A>>> = []
  let failure: E | TransportError | undefined
  let ended = false
  const end = (why?: E | TransportError): void => {
    if (ended) return
    ended = true
    failure = why
    off()
    offEnd()
    onReturn()
    const readers = waiting
    waiting = []
    for (const reader of readers) {
      if (failure === undefined) reader.resolve({ done: true, value: undefined })
      else reader.reject(failure)
    }
    // Told to those who wait; else to who comes next.
    if (readers.length > 0) failure = undefined
  }
  const off = source.on((value) => {
    const reader = waiting.shift()
    if (reader !== undefined) reader.resolve({ done: false, value })
    else if (kept.length < READER_LIMIT) kept.push(value)
    else end(overrun())
  })
  const offEnd = source.onEnd(end)
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    next: () => {
      if (kept.length > 0) return Promise.resolve({ done: false, value: kept.shift()! })
      if (failure !== undefined) {
        const thrown = failure
        failure = undefined
        return Promise.reject(thrown)
      }
      if (ended) return Promise.resolve({ done: true, value: undefined })
      const reader = Promise.withResolvers<IteratorResult<A>>()
      waiting.push(reader)
      return reader.promise
    },
    return: () => {
      kept.length = 0
      end()
      return Promise.resolve({ done: true, value: undefined })
    },
  }
}
