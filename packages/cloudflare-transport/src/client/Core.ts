/**
 * What both APIs of the client are made of: a channel, the connection that it is attached to, and the
 * few things to be done with them.
 */
import type { Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { AskError, TimeLimit, TransportError } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { timeLimit } from "../protocol/FieldRules.ts"
import { HUB_ADDRESS, type HubRequests, type HubRequestType } from "../protocol/HubMessage.ts"
import { Channel, outcomeOf } from "./Channel.ts"
import { ConnectFailed, type RequestError } from "./ClientError.ts"
import { makeConnection, type Connection } from "./Connection.ts"
import { Emitter, type Source } from "./Emitter.ts"
import { loadFrameCodec } from "./FrameCodec.ts"
import { message, type AcknowledgedOptions, type MessageOptions } from "./Message.ts"
import type { ClientOptions } from "./Options.ts"
import { readOptions } from "./readOptions.ts"
import { makeTimers, type Timers } from "./Timers.ts"
import { invalid } from "./Validation.ts"
import type { Outcome, WantedType } from "./Wanted.ts"

/** What may be said of an ask beside its type and payload. */
export interface AskOptions extends Omit<MessageOptions, "ttl"> {
  /**
   * Milliseconds that the answer may take, a number from 0; the client's `askTimeout` by default. At most 24
   * hours, for which `Infinity` stands. A negative number and `NaN` are rejected.
   */
  readonly timeout?: number
}

export class Core {
  readonly channel: Channel
  readonly connection: Connection
  readonly timers: Timers
  /** Milliseconds that an ask may take unless it says otherwise. */
  readonly askTimeout: number

  constructor(channel: Channel, connection: Connection, timers: Timers, askTimeout: number) {
    this.channel = channel
    this.connection = connection
    this.timers = timers
    this.askTimeout = askTimeout
  }

  /** Sends, or says why not; gives what it is while its receiver is slow, or the hub's rate spent. */
  tell(to: Address.Address, type: string, payload: unknown, options?: MessageOptions) {
    return this.channel.sender.offer(message("tell", to, type, payload, this.timers.timestamp(), options))
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
    const envelope = message("tell", to, type, payload, this.timers.timestamp(), { ...said, reliable: true })
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
      message("tell", to.from as Address.Address, type, payload, this.timers.timestamp(), options, to.id),
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
    const given = options?.timeout ?? this.askTimeout
    const violation = timeLimit(given, "timeout", {})
    if (violation !== undefined) {
      settle({ error: invalid(violation.message) })
      return () => {}
    }
    const timeout = TimeLimit.ofAsk(given)
    const isToHub = to === HUB_ADDRESS
    const envelope = message("ask", to, type, payload, this.timers.timestamp(), {
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
      this.channel.send(message("tell", to, "actor:cancel", null, this.timers.timestamp(), how, envelope.id))
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
      let isLetGo = false
      /** Ends the wait for the answer, which nobody gives to what is wanted no more. */
      let end = (): void => {}
      const held = Effect.callback<Out, RequestError>((resume) => {
        const fail = (error: RequestError): void => resume(Effect.fail(error))
        end = () => {
          const message = this.channel.sender.refusal ?? `let go before ${type} was answered`
          fail(new TransportError({ reason: "closed", message }))
        }
        if (isLetGo) return end()
        const disarm = this.timers.after(this.askTimeout, () => {
          letGo()
          fail(new AskError.AskTimeout({ message: `no answer to ${type} in time: try it again` }))
        })
        const forget = this.channel.hold(type, name, fields, (outcome) => {
          disarm()
          resume(toEffect<Out>(outcome))
        })
        letGo = () => {
          disarm()
          forget()
        }
        return Effect.sync(disarm)
      })
      const release = Effect.sync(() => {
        isLetGo = true
        letGo()
        end()
      })
      return Effect.andThen(
        Effect.addFinalizer(() => release),
        held,
      )
    })
  }

  /** Values of an emitter, until the client ends. */
  source<A>(emitter: Pick<Emitter<A>, "on">): Source<A, never> {
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
/** Milliseconds that an envelope waits for an actor or a listener by default. */
const UNCLAIMED_TIMEOUT = 30_000

/** Connects; ends with the scope. Fails where an option is wrong, before there is a socket. */
export const makeCore = (given: ClientOptions): Effect.Effect<Core, ConnectFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const timers = yield* makeTimers
    const frames = yield* loadFrameCodec(given.codec ?? "json")
    const options = readOptions(given, frames)
    if (options instanceof TransportError) {
      return yield* new ConnectFailed({ code: null, message: `not connected: ${options.message}` })
    }
    const askTimeout = TimeLimit.ofAsk(options.askTimeout ?? TimeLimit.DEFAULT_ASK_TIMEOUT_MS)
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const { persistence } = options
    const journal =
      persistence &&
      (yield* Effect.promise(() => import("./Journal.ts").then((m) => new m.Journal(persistence, frames))))
    const channel = new Channel({
      timers,
      frames,
      queueLimit: options.queueLimit ?? QUEUE_LIMIT,
      requestTimeout: askTimeout,
      unclaimedTimeout: options.unclaimedTimeout ?? UNCLAIMED_TIMEOUT,
      onUnclaimed: (count, { to, type }) =>
        void fork(
          Effect.logWarning(
            `gave up ${count} envelope(s) that no actor and no listener took, the first of them "${type}" for ${to}: serve the address, or listen with onMessage`,
          ),
        ),
      journal,
    })
    if (journal !== undefined) yield* Effect.promise(() => journal.open(channel))
    return new Core(channel, yield* makeConnection(channel, timers, options), timers, askTimeout)
  })
