/**
 * A probe: an actor that only collects, for tests to look at what others send, to answer in an actor's
 * place, and to hear of ends.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { MessageContext, Reply, SpawnOptions } from "../ActorContext.ts"
import type { AddressInUse } from "../ActorError.ts"
import type { ActorRef } from "../ActorRef.ts"
import type { ActorSystem } from "../ActorSystem.ts"
import type { Address } from "../Address.ts"
import * as Behavior from "../Behavior.ts"
import type { Metadata } from "../Envelope.ts"
import type { AnyHandlers } from "../Handlers.ts"
import type * as Protocol from "../Protocol.ts"
import { Reference } from "../Reference.ts"
import type { Terminated } from "../Signal.ts"
import type { TransportError } from "../Transport.ts"
import { live, pass, settle } from "./TestTime.ts"

/** It came otherwise than expected. */
export class ProbeError extends Data.TaggedError("ProbeError")<{ readonly message: string }> {}

/** A message that came, by its name. */
export type Received<P extends Protocol.Any> = {
  [N in keyof P["messages"] & string]: {
    readonly name: N
    readonly payload: Protocol.Payload<P, N>
    readonly sender: Address | null
    readonly id: string
    readonly metadata: Metadata
    /** Answers it; `null` where it was told. */
    readonly reply: Reply<P, N> | null
  }
}[keyof P["messages"] & string]

export interface ProbeOptions extends Pick<SpawnOptions, "address" | "name" | "register"> {
  /** How long to wait for what is expected, in real time, whatever the clock. Default: 3 s. */
  readonly patience?: Duration.Input
}

export interface TestProbe<in out P extends Protocol.Any> {
  /** The probe as others see it. */
  readonly ref: ActorRef<P>
  /** The same reference, sending in the probe's name. */
  readonly as: <Q extends Protocol.Any>(ref: ActorRef<Q>) => ActorRef<Q>
  /** The next message. */
  readonly receive: Effect.Effect<Received<P>, ProbeError>
  /** The next messages, that many. */
  readonly receiveN: (count: number) => Effect.Effect<ReadonlyArray<Received<P>>, ProbeError>
  /** The next message must be of this name, and carry this where it is given, by `Equal.equals`. */
  readonly expectMessage: <N extends keyof P["messages"] & string>(
    name: N,
    ...payload: [Protocol.Payload<P, N>?]
  ) => Effect.Effect<Extract<Received<P>, { readonly name: N }>, ProbeError>
  /**
   * Nothing may come while this time passes, which with a test clock it moves; without a time, while
   * what can happen at once does.
   */
  readonly expectNoMessage: (duration?: Duration.Input) => Effect.Effect<void, ProbeError>
  /** Answers the last ask that was received. Fails where it was a tell, or is answered. */
  readonly reply: (value: Protocol.Success<P, Protocol.AskName<P>>) => Effect.Effect<void, ProbeError>
  /** Answers it with its typed error. */
  readonly fail: (error: Protocol.Failure<P, Protocol.AskName<P>>) => Effect.Effect<void, ProbeError>
  /** Hears of the actor's end from now on, until the probe's scope closes. */
  readonly watch: (actor: { readonly address: Address }) => Effect.Effect<void>
  /** A watched actor must end. Each end is heard, and expected, once. */
  readonly expectTerminated: (actor: { readonly address: Address }) => Effect.Effect<Terminated, ProbeError>
}

const DEFAULT_PATIENCE = Duration.seconds(3)

/** A probe that takes the messages of this protocol, until the scope closes. */
export const make = Effect.fnUntraced(function* <P extends Protocol.Any>(
  system: ActorSystem,
  protocol: P,
  options: ProbeOptions = {},
): Effect.fn.Return<TestProbe<P>, AddressInUse | TransportError, Scope.Scope> {
  const { patience = DEFAULT_PATIENCE, ...spawn } = options
  const scope = yield* Effect.scope
  const received = yield* Queue.unbounded<Received<P>>()
  const ends = new Map<Address, Queue.Queue<Terminated>>()
  let last: Received<P>["reply"] = null

  const take = (context: MessageContext<P, string>, name: string, payload: unknown): void => {
    const { sender, id, metadata } = context
    const reply = protocol.messages[name]?.pattern === "ask" ? context.replyLater() : null
    // What a handler is called with is of its message, by its name.
    Queue.offerUnsafe(received, { name, payload, sender, id, metadata, reply } as Received<P>)
  }
  const handlers = Object.fromEntries(
    Object.keys(protocol.messages).map((name) => [
      name,
      (payload: unknown, context: MessageContext<P, string>) => take(context, name, payload),
    ]),
  )
  const ref = yield* system.spawn(Behavior.make<P, AnyHandlers<P>>(protocol, handlers as never), spawn)
  yield* Effect.addFinalizer(() => system.stop(ref))

  const within = <A>(wait: Effect.Effect<A>, what: string): Effect.Effect<A, ProbeError> =>
    live(
      Effect.timeoutOrElse(wait, {
        duration: patience,
        orElse: () =>
          failed(
            `${ref.address}: ${what} did not come within ${Duration.format(Duration.fromInputUnsafe(patience))}`,
          ),
      }),
    )
  const next = (what: string): Effect.Effect<Received<P>, ProbeError> =>
    Effect.tap(within(Queue.take(received), what), ({ reply }) => Effect.sync(() => void (last = reply)))
  const answer = (give: (reply: NonNullable<typeof last>) => void): Effect.Effect<void, ProbeError> =>
    Effect.suspend(() => {
      if (last === null) return failed(`${ref.address}: no ask was received that is to be answered`)
      give(last)
      last = null
      return Effect.void
    })

  return {
    ref,
    as: (to) => {
      const { address, protocol } = to
      return to instanceof Reference ? new Reference(to.runtime, protocol, to.cell, address, ref) : to
    },
    receive: next("a message"),
    receiveN: (count) =>
      Effect.forEach(Array.from({ length: count }), (_, n) => next(`message ${n + 1} of ${count}`)),
    expectMessage: (name, ...payload) =>
      next(`"${name}"`).pipe(
        Effect.flatMap((message) => {
          if (message.name !== name) {
            return failed(`${ref.address}: expected "${name}", got ${shown(message)}`)
          }
          if (payload.length > 0 && !Equal.equals(message.payload, payload[0])) {
            return failed(
              `${ref.address}: expected "${name}" with ${JSON.stringify(payload[0])}, got ${shown(message)}`,
            )
          }
          return Effect.succeed(message as Extract<Received<P>, { readonly name: typeof name }>)
        }),
      ),
    expectNoMessage: (duration) =>
      (duration === undefined ? settle : pass(duration)).pipe(
        Effect.andThen(Queue.poll(received)),
        Effect.flatMap((came) =>
          came._tag === "None"
            ? Effect.void
            : failed(`${ref.address}: expected nothing, got ${shown(came.value)}`),
        ),
      ),
    reply: (value) => answer((reply) => reply.succeed(value as never)),
    fail: (error) => answer((reply) => reply.fail(error as never)),
    watch: (actor) =>
      Effect.gen(function* () {
        const { address } = actor
        const queue = ends.get(address) ?? (yield* Queue.unbounded<Terminated>())
        ends.set(address, queue)
        yield* system.watch(actor).pipe(
          Effect.map((terminated) => Queue.offerUnsafe(queue, terminated)),
          Effect.forkIn(scope, { startImmediately: true }),
        )
      }),
    expectTerminated: ({ address }) => {
      const queue = ends.get(address)
      return queue === undefined
        ? failed(`${ref.address}: ${address} is not watched`)
        : within(Queue.take(queue), `the end of ${address}`)
    },
  }
})

const failed = (message: string): Effect.Effect<never, ProbeError> => Effect.fail(new ProbeError({ message }))

const shown = ({ name, payload }: { readonly name: string; readonly payload: unknown }): string =>
  `"${name}" with ${JSON.stringify(payload)}`
