/**
 * Traces over actors and processes: one span for an ask, from the asker to its end, whose `traceparent` (W3C)
 * goes with the message. What a handler's effect does is a part of it. A tell carries on the trace that it
 * was sent in, and makes no span of its own.
 *
 * There is tracing where the system was made with a tracer at hand; without one nothing is done.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { ActorCell } from "./ActorCell.ts"
import type { Target } from "./Asking.ts"
import type { Metadata } from "./Envelope.ts"
import type { Addressed } from "./Message.ts"

/** An ask that is traced. */
export interface AskSpan {
  /** What goes with the ask. */
  readonly metadata: Metadata
  /** The ask is over. */
  readonly end: (exit: Exit.Exit<unknown, unknown>) => void
}

/** Makes the tracing of a system, where its context has a tracer. */
export type MakeTracing = (context: Context.Context<never>, clock: Clock.Clock) => ActorTracing | null

/** The tracer that was provided. By `Tracer.Tracer` its default would be found too, and be part of every bundle. */
const Provided = Context.Service<Tracer.Tracer>(Tracer.TracerKey)

/** Traces where a tracer was provided, as by `Layer` or `Effect.withTracer`. */
export const whenPresent: MakeTracing = (context, clock) => {
  const tracer = Context.getOrUndefined(context, Provided)
  return tracer === undefined ? null : new ActorTracing(tracer, clock)
}

export class ActorTracing {
  readonly #tracer: Tracer.Tracer
  readonly #clock: Clock.Clock

  constructor(tracer: Tracer.Tracer, clock: Clock.Clock) {
    this.#tracer = tracer
    this.#clock = clock
  }

  /** An ask, with its span. */
  ask<A, E>(
    target: Target,
    name: string,
    metadata: Metadata,
    asked: (metadata: Metadata) => Effect.Effect<A, E>,
  ): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      const span = this.begin(target, name, metadata)
      return Effect.onExit(asked(span.metadata), (exit) => Effect.sync(() => span.end(exit)))
    })
  }

  /** Begins the span of an ask, within what its asker is at. */
  begin({ address, protocol, sender }: Target, name: string, metadata: Metadata): AskSpan {
    const parent = contextOf(metadata) ?? current(sender)
    const span = this.#tracer.span({
      name: `${protocol.name}.${name}`,
      parent: Option.fromNullishOr(parent),
      annotations: Context.empty(),
      links: [],
      startTime: this.#clock.currentTimeNanosUnsafe(),
      kind: "client",
      root: parent === undefined,
      sampled: parent?.sampled ?? true,
    })
    span.attribute("actor.address", address)
    span.attribute("actor.protocol", protocol.name)
    span.attribute("actor.message", name)
    return {
      metadata: withTraceparent(metadata, span),
      end: (exit) => span.end(this.#clock.currentTimeNanosUnsafe(), exit),
    }
  }

  /** The metadata of a tell, with the trace that it is sent in. */
  carry(metadata: Metadata, sender: Addressed | null): Metadata {
    if (metadata.traceparent !== undefined) return metadata
    const span = current(sender)
    return span === undefined ? metadata : withTraceparent(metadata, span)
  }

  /** What an effect runs in that handles a message with this metadata. */
  within(services: Context.Context<never>, metadata: Metadata): Context.Context<never> {
    const span = contextOf(metadata)
    return span === undefined ? services : Context.add(services, Tracer.ParentSpan, span)
  }
}

/** What the sender is at: the span of the fiber that sends, else the trace of the message that it handles. */
const current = (sender: Addressed | null): Tracer.AnySpan | undefined => {
  const fiber = Fiber.getCurrent()
  const span = fiber && Option.getOrUndefined(Context.getOption(fiber.context, Tracer.ParentSpan))
  if (span !== undefined || !(sender instanceof ActorCell) || sender.current === null) return span
  return contextOf(sender.current.metadata)
}

/** Version, trace, parent, flags; later versions may have more. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?:-|$)/

/** The span that the metadata names, if it does. */
const contextOf = ({ traceparent }: Metadata): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId, flags] =
    typeof traceparent === "string" ? (TRACEPARENT.exec(traceparent) ?? []) : []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

const withTraceparent = (metadata: Metadata, { sampled, spanId, traceId }: Tracer.AnySpan): Metadata => {
  const traceparent = `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
  // A tracer with ids of its own can't be continued elsewhere.
  return TRACEPARENT.test(traceparent) ? { ...metadata, traceparent } : metadata
}
