/**
 * A transport around another one, on which a test has things go wrong: envelopes are lost, late, doubled,
 * in another order, refused, or the connection is cut for a while or for good. What goes wrong is decided
 * for each envelope by a script, or by a seed, so that it goes wrong the same way again.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Envelope } from "../Envelope.ts"
import { TransportError, type Transport } from "../Transport.ts"
import { makeRandom } from "./Random.ts"

/** An envelope on its way. */
export interface Passage {
  readonly envelope: Envelope
  /** `out`: sent by who has this transport; `in`: sent to it. */
  readonly direction: "out" | "in"
  /** Which one it is in its direction, from 1. */
  readonly n: number
}

/**
 * What becomes of an envelope.
 * - `pass`: nothing
 * - `drop`: it is lost, unnoticed
 * - `duplicate`: it comes twice
 * - `swap`: it comes after the next one of its direction
 * - `delay`: it comes that much later, by the clock of who made the transport; what follows may overtake it
 * - `refuse`: `send` does not take it; of what comes in: as `drop`
 */
export type Fault =
  | "pass"
  | "drop"
  | "duplicate"
  | "swap"
  | { readonly delay: Duration.Input }
  | { readonly refuse: TransportError }

export type Script = (passage: Passage) => Fault

/** How likely each is, from 0 to 1; what is left passes. */
export interface Odds {
  readonly drop?: number
  readonly duplicate?: number
  readonly swap?: number
  readonly delay?: number
  /** Longest delay. Default: 1 s. */
  readonly longest?: Duration.Input
}

/** A script that a seed decides. */
export const random = (seed: number, odds: Odds): Script => {
  const next = makeRandom(seed)
  const longest = Duration.toMillis(odds.longest ?? "1 second")
  return () => {
    let dice = next()
    for (const fault of ["drop", "duplicate", "swap"] as const) {
      dice -= odds[fault] ?? 0
      if (dice < 0) return fault
    }
    return dice < (odds.delay ?? 0) ? { delay: Math.ceil(next() * longest) } : "pass"
  }
}

export interface FaultyTransport extends Transport {
  /** What goes wrong from now on. */
  script: Script
  /** All that went by, with what became of it. `cut`: there was no connection. */
  readonly passed: ReadonlyArray<Passage & { readonly fault: Fault | "cut" }>
  /**
   * From now on nothing gets through. `lose`: what is sent meanwhile is lost; `wait`: it gets through, in
   * order, once it reconnects, as a client keeps what it can't send. Default: `lose`.
   */
  readonly cut: (meanwhile?: "lose" | "wait") => void
  /** Ends a cut. */
  readonly reconnect: () => void
  /** Ends the connection for good: it takes nothing more, nothing comes, and its watches fail. */
  readonly end: () => void
}

/** Puts faults on the way to and from a transport, until the scope closes. */
export const make = (
  inner: Transport,
  script: Script = () => "pass",
): Effect.Effect<FaultyTransport, never, Scope.Scope> =>
  Effect.map(Effect.all([Clock.Clock, Effect.context<never>(), Effect.scope]), ([clock, context, scope]) => {
    const passed: Array<Passage & { readonly fault: Fault | "cut" }> = []
    const counts = { out: 0, in: 0 }
    /** What waits for the next of its direction to go before it. */
    const swapped: { out?: () => void; in?: () => void } = {}
    const ended = Deferred.makeUnsafe<never, TransportError>()
    let state: "open" | "lose" | "wait" | "ended" = "open"
    let waiting: Array<() => void> = []

    /** Decides, and does it; what refuses it is given back. */
    const pass = (
      direction: "out" | "in",
      envelope: Envelope,
      go: () => TransportError | undefined | void,
    ): TransportError | undefined => {
      const passage = { envelope, direction, n: ++counts[direction] }
      if (state !== "open") {
        passed.push({ ...passage, fault: "cut" })
        if (state === "wait") waiting.push(go)
        return undefined
      }
      const fault = faulty.script(passage)
      passed.push({ ...passage, fault })
      if (fault === "drop") return undefined
      if (fault === "swap" && swapped[direction] === undefined) {
        swapped[direction] = go
        return undefined
      }
      if (typeof fault === "object") {
        if ("refuse" in fault) return direction === "out" ? fault.refuse : undefined
        later(fault.delay, () => {
          if (state === "open") go()
          else if (state === "wait") waiting.push(go)
        })
        return undefined
      }
      const refusal = go()
      if (fault === "duplicate") go()
      const behind = swapped[direction]
      delete swapped[direction]
      behind?.()
      return refusal ?? undefined
    }
    const later = (delay: Duration.Input, go: () => void): void => {
      const work = Effect.andThen(clock.sleep(Duration.fromInputUnsafe(delay)), Effect.sync(go))
      Effect.runForkWith(context)(Effect.forkIn(work, scope, { startImmediately: true }))
    }

    const faulty: FaultyTransport = {
      ...(inner.guardsAnswers !== undefined && { guardsAnswers: inner.guardsAnswers }),
      ...(inner.reaches !== undefined && { reaches: (address) => inner.reaches?.(address) ?? true }),
      ...(inner.watch !== undefined && {
        watch: (address) =>
          Effect.suspend(() => {
            if (state === "ended") return Effect.fail(ENDED)
            return Effect.map(inner.watch!(address), ({ registered, terminated }) => ({
              registered,
              terminated: Effect.raceFirst(terminated, Deferred.await(ended)),
            }))
          }),
      }),
      script,
      passed,
      send: (envelope) => (state === "ended" ? ENDED : pass("out", envelope, () => inner.send(envelope))),
      receive: (receiver) =>
        inner.receive((envelope) => {
          if (state !== "ended") pass("in", envelope, () => void receiver(envelope))
        }),
      register: (address, options) =>
        Effect.suspend(() => (state === "ended" ? Effect.fail(ENDED) : inner.register(address, options))),
      cut: (meanwhile = "lose") => {
        if (state !== "ended") state = meanwhile
      },
      reconnect: () => {
        if (state === "ended") return
        state = "open"
        const all = waiting
        waiting = []
        for (const go of all) go()
      },
      end: () => {
        state = "ended"
        waiting = []
        Deferred.doneUnsafe(ended, Effect.fail(ENDED))
      },
    }
    return faulty
  })

const ENDED = new TransportError({ reason: "closed", message: "the connection ended" })
