/**
 * What both APIs of the client are made of: a channel, the connection that it is attached to, and the
 * few things to be done with them.
 */
import type { Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { AskError } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { HUB_ADDRESS, type HubRequests, type HubRequestType } from "../protocol/HubMessage.ts"
import { DEFAULT_ASK_TIMEOUT } from "../protocol/Limits.ts"
import { Channel, outcomeOf } from "./Channel.ts"
import type { RequestError } from "./ClientError.ts"
import { makeConnection, type Connection } from "./Connection.ts"
import { Emitter, type Source } from "./Emitter.ts"
import { loadFrameCodec } from "./FrameCodec.ts"
import { message, type AcknowledgedOptions, type MessageOptions } from "./Message.ts"
import type { ClientOptions } from "./Options.ts"
import { makeTimers, type Timers } from "./Timers.ts"
import type { Outcome, WantedType } from "./Wanted.ts"

/** What may be said of an ask beside its type and payload. */
export interface AskOptions extends Omit<MessageOptions, "ttl"> {
  /** Milliseconds that the answer may take; the client's `askTimeout` by default. */
  readonly timeout?: number
}

export class Core {
  readonly channel: Channel
  readonly connection: Connection
  readonly timers: Timers
  readonly #askTimeout: number

  constructor(channel: Channel, connection: Connection, timers: Timers, askTimeout: number) {
    this.channel = channel
    this.connection = connection
    this.timers = timers
    this.#askTimeout = askTimeout
  }

  /** Sends, or says why not; gives what it is while its receiver is slow, or the hub's rate spent. */
  tell(to: Address.Address, type: string, payload: unknown, options?: MessageOptions) {
    return this.channel.sender.offer(message("tell", to, type, payload, this.timers.now(), options))
  }

  /**
   * Sends reliably; `settle` is called once: the hub has it, or why that is not known. The result forgets it,
   * and what has not left does not leave.
   */
  tellAcknowledged(
    to: Address.Address,
    type: string,
    payload: unknown,
    options: AcknowledgedOptions,
    settle: (outcome: Outcome) => void,
  ): () => void {
    const { until: _, ...said } = options
    const envelope = message("tell", to, type, payload, this.timers.now(), { ...said, reliable: true })
    const error = this.channel.ask(
      envelope,
      Infinity,
      (outcome) => settle(outcomeOf(outcome)),
      () => settle({ payload: undefined }),
    )
    if (error !== undefined) settle({ error })
    return () => void this.channel.abandon(envelope.id)
  }

  /** The answer to an ask that came. From the address that was asked, which may be a further one. */
  reply(to: Envelope.Envelope, type: string, payload: unknown) {
    const options = {
      reliable: to.seq !== undefined,
      ...(this.#speaksFor(to.to) && { from: to.to }),
    }
    return this.channel.send(
      message("tell", to.from as Address.Address, type, payload, this.timers.now(), options, to.id),
    )
  }

  /** Asks; `settle` is called once. The result gives up, which the actor hears as `actor:cancel`. */
  ask(
    to: Address.Address,
    type: string,
    payload: unknown,
    options: AskOptions | undefined,
    settle: (outcome: Outcome) => void,
  ): () => void {
    const timeout = options?.timeout ?? this.#askTimeout
    const isToHub = to === HUB_ADDRESS
    const envelope = message("ask", to, type, payload, this.timers.now(), {
      reliable: !isToHub,
      ...options,
      ttl: timeout,
    })
    const error = this.channel.ask(envelope, timeout, (outcome) => settle(outcomeOf(outcome)))
    if (error !== undefined) settle({ error })
    return () => {
      const ask = this.channel.abandon(envelope.id)
      if (ask === undefined || isToHub) return
      const how = { ...(options?.from && { from: options.from }), reliable: ask.reliable === true }
      this.channel.send(message("tell", to, "actor:cancel", null, this.timers.now(), how, envelope.id))
    }
  }

  /** A request to the hub. */
  request<T extends HubRequestType>(
    type: T,
    payload: HubRequests[T]["in"],
    metadata?: Envelope.Metadata,
  ): Effect.Effect<HubRequests[T]["out"], RequestError> {
    return Effect.callback((resume) => {
      const id = this.channel.request(
        type,
        payload,
        (outcome) => resume(toEffect<HubRequests[T]["out"]>(outcomeOf(outcome))),
        metadata,
      )
      return Effect.sync(() => void this.channel.abandon(id))
    })
  }

  /** Wants something of the hub until the scope closes; succeeds with the hub's answer. */
  hold<Out>(
    type: WantedType,
    name: { readonly [field: string]: string },
    fields: object = {},
  ): Effect.Effect<Out, RequestError, Scope.Scope> {
    return Effect.suspend(() => {
      let letGo = (): void => {}
      const held = Effect.callback<Out, RequestError>((resume) => {
        const disarm = this.timers.after(this.#askTimeout, () => {
          letGo()
          resume(
            Effect.fail(new AskError.AskTimeout({ message: `no answer to ${type} in time: try it again` })),
          )
        })
        letGo = this.channel.wanted.hold(type, name, { ...fields }, (outcome) => {
          disarm()
          resume(toEffect<Out>(outcome))
        })
        return Effect.sync(disarm)
      })
      return Effect.andThen(
        Effect.addFinalizer(() => Effect.sync(() => letGo())),
        held,
      )
    })
  }

  /** Values of an emitter, until the client ends. */
  source<A>(emitter: Emitter<A>): Source<A, never> {
    return {
      on: (listener) => emitter.on(listener),
      onEnd: (listener) => this.channel.ended.on(() => listener()),
    }
  }

  /** Publications on a topic, until the client ends or the hub refuses the subscription. */
  publications(topic: string): Source<Envelope.Envelope, RequestError> {
    const { inbox, ended, refusals } = this.channel
    return {
      on: (listener) => {
        let readers = inbox.topics.get(topic)
        if (readers === undefined) {
          readers = new Emitter()
          inbox.topics.set(topic, readers)
        }
        const own = readers
        const off = own.on(listener)
        return () => {
          off()
          if (own.size === 0 && inbox.topics.get(topic) === own) inbox.topics.delete(topic)
        }
      },
      onEnd: (listener) => {
        const offEnded = ended.on(() => listener())
        const offRefused = refusals.on(({ type, payload, error }) => {
          if (type === "hub:subscribe" && payload.topic === topic) listener(error)
        })
        return () => {
          offEnded()
          offRefused()
        }
      },
    }
  }

  #speaksFor(address: Address.Address): boolean {
    const state = this.connection.state()
    return state.status !== "connected" || state.session.actorIdentity !== address
  }
}

const toEffect = <Out>(outcome: Outcome): Effect.Effect<Out, RequestError> =>
  // The hub's answers are what the protocol says of them.
  "error" in outcome ? Effect.fail(outcome.error) : Effect.succeed(outcome.payload as Out)

/** Envelopes that may wait while offline by default. */
const QUEUE_LIMIT = 1_000

/** Connects; ends with the scope. */
export const makeCore = (options: ClientOptions): Effect.Effect<Core, never, Scope.Scope> =>
  Effect.gen(function* () {
    const timers = yield* makeTimers
    const frames = yield* loadFrameCodec(options.codec ?? "json")
    const askTimeout = options.askTimeout ?? DEFAULT_ASK_TIMEOUT
    const { persistence } = options
    const journal =
      persistence &&
      (yield* Effect.promise(() => import("./Journal.ts").then((m) => new m.Journal(persistence, frames))))
    const channel = new Channel({
      timers,
      frames,
      queueLimit: options.queueLimit ?? QUEUE_LIMIT,
      requestTimeout: askTimeout,
      journal,
    })
    if (journal !== undefined) yield* Effect.promise(() => journal.open(channel))
    return new Core(channel, yield* makeConnection(channel, timers, options), timers, askTimeout)
  })
