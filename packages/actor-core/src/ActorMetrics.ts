/**
 * Metrics of an actor system, as Effect metrics: read with `Metric.snapshot`, exported with whatever exports
 * those. All by system and protocol:
 *
 * - `actor_processing_ms`, a histogram: milliseconds from the beginning of a handler to its end, by message
 * - `actor_restarts`, a counter; `actor_failures`, one by kind; `actor_dead_letters`, one by reason
 * - `actors`, `actor_mailbox_depth`, `actor_mailbox_depth_max`, gauges: how many actors run, and how many
 *   messages wait, in all and with the one that has most; looked at now and then
 *
 * Without it a message costs one look whether somebody observes.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import { type Family, members } from "./Family.ts"
import type { Message } from "./Message.ts"
import type { Runtime } from "./Runtime.ts"

export interface Options {
  /** How often the gauges are set. Default: 10 s. */
  readonly sampleEvery?: Duration.Input
}

/** Metrics for one system, to be given to it as it is made. */
export const make = (options: Options = {}): ActorMetrics =>
  new ActorMetrics(options.sampleEvery ?? "10 seconds")

/** Upper bounds of the histogram, milliseconds. */
const BOUNDARIES = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000]

const processing = Metric.histogram("actor_processing_ms", {
  description: "Milliseconds from the beginning of a handler to its end",
  boundaries: BOUNDARIES,
})
const restarts = Metric.counter("actor_restarts", { description: "Restarts of actors" })
const failures = Metric.counter("actor_failures", { description: "Failures of actors, by kind" })
const deadLetters = Metric.counter("actor_dead_letters", { description: "Dead letters, by reason" })
const actors = Metric.gauge("actors", { description: "Actors that run" })
const depth = Metric.gauge("actor_mailbox_depth", { description: "Messages that wait in mailboxes" })
const deepest = Metric.gauge("actor_mailbox_depth_max", {
  description: "Messages that wait in the mailbox that has most",
})

interface Sample {
  actors: number
  depth: number
  deepest: number
}

/** Protocol of what is said of an address that no actor here has. */
const NOBODY = "none"

export class ActorMetrics {
  readonly #sampleEvery: Duration.Input
  #runtime: Runtime | undefined
  #context: Context.Context<never> = Context.empty()
  /** When each actor that is at a message began with it, nanoseconds. */
  readonly #began = new Map<ActorCell, readonly [at: bigint, message: string]>()
  readonly #times = new Map<string, Metric.Metric<number, unknown>>()
  /** Protocols that had actors at a sample before: their gauges go back to 0. */
  readonly #seen = new Set<string>()

  constructor(sampleEvery: Duration.Input) {
    this.#sampleEvery = sampleEvery
  }

  /** Observes until the scope closes. A system each. */
  readonly observe = (runtime: Runtime): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen({ self: this }, function* () {
      this.#runtime = runtime
      this.#context = yield* Effect.context<never>()
      const stops = [
        runtime.events.subscribe("ActorRestarted", ({ address }) => this.#count(restarts, address, {})),
        runtime.events.subscribe("ActorFailed", ({ address, failure: { kind } }) =>
          this.#count(failures, address, { kind }),
        ),
        runtime.events.subscribe("DeadLetter", ({ letter: { envelope, reason } }) =>
          this.#count(deadLetters, envelope.to, { reason }),
        ),
      ]
      yield* Effect.addFinalizer(() => Effect.sync(() => stops.forEach((stop) => stop())))
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.andThen(
            Effect.sync(() => this.sample()),
            Effect.sleep(this.#sampleEvery),
          ),
        ),
      )
    })

  /** An actor begins with a message. */
  began(cell: ActorCell, message: Message): void {
    this.#began.set(cell, [cell.runtime.clock.currentTimeNanosUnsafe(), message.name])
  }

  /** Its turn is over; of a message, or of something else. */
  ended(cell: ActorCell): void {
    const began = this.#began.get(cell)
    if (began === undefined) return
    this.#began.delete(cell)
    const [at, message] = began
    const nanos = cell.runtime.clock.currentTimeNanosUnsafe() - at
    this.#time(cell.protocol.name, message).updateUnsafe(Number(nanos) / 1e6, this.#context)
  }

  /** Sets the gauges. */
  sample(): void {
    const runtime = this.#runtime
    if (runtime === undefined) return
    const samples = new Map<string, Sample>()
    for (const protocol of this.#seen) samples.set(protocol, { actors: 0, depth: 0, deepest: 0 })
    look(runtime.root, samples)
    for (const [protocol, sample] of samples) {
      this.#seen.add(protocol)
      const of = { system: runtime.name, protocol }
      Metric.withAttributes(actors, of).updateUnsafe(sample.actors, this.#context)
      Metric.withAttributes(depth, of).updateUnsafe(sample.depth, this.#context)
      Metric.withAttributes(deepest, of).updateUnsafe(sample.deepest, this.#context)
    }
  }

  #time(protocol: string, message: string): Metric.Metric<number, unknown> {
    const key = `${protocol}\n${message}`
    let time = this.#times.get(key)
    if (time === undefined) {
      const system = this.#runtime?.name ?? ""
      time = Metric.withAttributes(processing, { system, protocol, message })
      this.#times.set(key, time)
    }
    return time
  }

  #count(counter: Metric.Counter<number>, address: Address, more: { readonly [name: string]: string }): void {
    const runtime = this.#runtime
    if (runtime === undefined) return
    const protocol = runtime.cells.get(address)?.protocol.name ?? NOBODY
    Metric.withAttributes(counter, { system: runtime.name, protocol, ...more }).updateUnsafe(1, this.#context)
  }
}

const look = (family: Family<ActorCell>, samples: Map<string, Sample>): void => {
  for (const cell of members(family)) {
    const { name } = cell.protocol
    let sample = samples.get(name)
    if (sample === undefined) samples.set(name, (sample = { actors: 0, depth: 0, deepest: 0 }))
    sample.actors++
    sample.depth += cell.waiting
    sample.deepest = Math.max(sample.deepest, cell.waiting)
    look(cell, samples)
  }
}
