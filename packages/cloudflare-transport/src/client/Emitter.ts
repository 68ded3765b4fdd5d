/** Listeners, and the bounded ways to pull what they hear: a `Stream`, an async iterable. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
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
  readonly #keep: number
  #kept: Array<A> = []

  /** While nobody listens, the last `keep` values are kept for who comes first. */
  constructor(keep = 0) {
    this.#keep = keep
  }

  /** Adds a listener, from the next value on; the result removes it, at once. */
  on(listener: (value: A) => void): () => void {
    const place: Place<A> = { call: listener }
    this.#places = [...this.#places, place]
    for (const value of this.#kept.splice(0)) this.emit(value)
    return () => {
      if (place.call === undefined) return
      place.call = undefined
      this.#places = this.#places.length === 1 ? NOBODY : this.#places.filter((other) => other !== place)
    }
  }

  get size(): number {
    return this.#places.length
  }

  /** Removes all listeners. */
  clear(): void {
    this.#places = NOBODY
  }

  /** A listener that throws stops no other: its error is reported as an uncaught one. */
  emit(value: A): void {
    if (this.#places.length === 0 && this.#keep > 0 && this.#kept.push(value) > this.#keep) this.#kept.shift()
    for (const place of this.#places) {
      try {
        place.call?.(value)
      } catch (error) {
        reportUncaught(error)
      }
    }
  }
}

/** An end, which comes once. Whoever listens after it is told at once. */
export class End {
  #isOver = false
  readonly #listeners = new Emitter<void>()

  /** Adds a listener, which is called once; the result removes it. */
  on(listener: () => void): () => void {
    const off = this.#listeners.on(listener)
    if (!this.#isOver) return off
    this.#listeners.emit()
    off()
    return () => {}
  }

  /** It has come. */
  emit(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#listeners.emit()
    this.#listeners.clear()
  }
}

/** Throws the error of a listener where no caller of ours is stopped by it: it is an uncaught one. */
export const reportUncaught = (error: unknown): void =>
  queueMicrotask(() => {
    throw error
  })

/**
 * A source of values: `on` adds a listener, `onEnd` one that is called once when there will be no more,
 * with the failure where it is one, and at once where that is so already. Both return what removes the listener.
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

/** What came of a source and is not read yet, in order, and how it ended. */
interface Backlog<A, E> {
  readonly kept: Array<A>
  /** Set once there will be no more than what is kept: with the failure, where it is one. */
  end: { readonly failure: E | TransportError | undefined } | undefined
  /** Called when there is more to read, or the end. */
  wake: () => void
  /** Listens no more. */
  readonly stop: (failure?: E | TransportError) => void
}

/** Listens from now on. Ends with the source, or `queue_full` where nobody reads; `onEnd` is called then. */
const gather = <A, E>(source: Source<A, E>, onEnd = (): void => {}): Backlog<A, E> => {
  const stops: Array<() => void> = []
  const backlog: Backlog<A, E> = {
    kept: [],
    end: undefined,
    wake: () => {},
    stop: (failure) => {
      if (backlog.end !== undefined) return
      backlog.end = { failure }
      for (const stop of stops.splice(0)) stop()
      onEnd()
      backlog.wake()
    },
  }
  // Each may end it at once, by what was kept for it or as its source has ended: what is added then is removed again.
  const add = (off: () => void): void => {
    if (backlog.end === undefined) stops.push(off)
    else off()
  }
  let limit = Infinity
  const off = source.on((value) => {
    if (backlog.kept.push(value) > limit) {
      backlog.kept.pop()
      backlog.stop(overrun())
    } else backlog.wake()
  })
  // What was there already is no sign of a slow reader.
  limit = READER_LIMIT + backlog.kept.length
  add(off)
  if (backlog.end === undefined) add(source.onEnd(backlog.stop))
  return backlog
}

/**
 * The source as a stream that listens from now on, until the scope closes; where there is `first`, that
 * comes first. It ends as the source does, and fails `queue_full` when its reader falls too far behind.
 */
export const collect = <A, E>(
  source: Source<A, E>,
  first?: () => A,
): Effect.Effect<Stream.Stream<A, E | TransportError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const backlog = gather(source)
    if (first !== undefined) backlog.kept.push(first())
    yield* Effect.addFinalizer(() => Effect.sync(() => backlog.stop()))
    const pull = Effect.callback<readonly [A, ...Array<A>], E | TransportError | Cause.Done>((resume) => {
      backlog.wake = () => {
        const { end, kept } = backlog
        if (kept.length === 0 && end === undefined) return
        // First, as the reader may pull again at once.
        backlog.wake = () => {}
        if (kept.length > 0) resume(Effect.succeed(kept.splice(0) as [A, ...Array<A>]))
        else resume(end?.failure === undefined ? Cause.done() : Effect.fail(end.failure))
      }
      backlog.wake()
      return Effect.sync(() => (backlog.wake = () => {}))
    })
    return Stream.fromPull(Effect.succeed(pull))
  })

/** `collect` as a stream that listens while it runs. */
export const toStream = <A, E>(source: Source<A, E>, first?: () => A): Stream.Stream<A, E | TransportError> =>
  Stream.unwrap(collect(source, first))

/**
 * The source as an async iterable, listening from this call on: what comes before the first `next` is
 * kept too. Ends with the source or by `break`; throws `queue_full` when its reader falls too far behind.
 */
export const toAsyncIterable = <A, E>(
  source: Source<A, E>,
  onReturn: () => void,
): AsyncIterableIterator<A> => {
  const backlog = gather(source, onReturn)
  const { kept } = backlog
  const waiting: Array<PromiseWithResolvers<IteratorResult<A>>> = []
  backlog.wake = () => {
    while (waiting.length > 0 && (kept.length > 0 || backlog.end !== undefined)) {
      const reader = waiting.shift()!
      const failure = backlog.end?.failure
      if (kept.length > 0) reader.resolve({ done: false, value: kept.shift()! })
      else if (failure === undefined) reader.resolve({ done: true, value: undefined })
      else {
        // Told once: to who comes later, it has ended.
        backlog.end = { failure: undefined }
        reader.reject(failure)
      }
    }
  }
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    next: () => {
      const reader = Promise.withResolvers<IteratorResult<A>>()
      waiting.push(reader)
      backlog.wake()
      return reader.promise
    },
    return: () => {
      kept.length = 0
      backlog.stop()
      return Promise.resolve({ done: true, value: undefined })
    },
  }
}
