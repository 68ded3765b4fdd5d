/** The client as Effects: the connection lives in a `Scope`, what comes is a `Stream`. */
import {
  TransportError,
  type Address,
  type Envelope,
  type Transport,
} from "@signal-hub/actor-core/vocabulary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type {
  ActorList,
  BroadcastAck,
  Discover,
  Discovered,
  PresenceMember,
  Published,
  QueueStats,
  Registered,
  Terminated,
} from "../protocol/HubMessage.ts"
import { watchActor } from "./ActorWatch.ts"
import type { ConnectFailed, RequestError } from "./ClientError.ts"
import { makeCore, type AskOptions, type Core } from "./Core.ts"
import { collect, toStream } from "./Emitter.ts"
import { makeHubTransport } from "./HubTransport.ts"
import type { HubEvent } from "./Inbox.ts"
import type { AcknowledgedOptions, MessageOptions } from "./Message.ts"
import type { ClientOptions } from "./Options.ts"
import { broadcast, presenceOf, type BroadcastOptions, type RegisterFields } from "./Requests.ts"
import type { ConnectionState, Health, HubSession, SessionEvent } from "./State.ts"

/** A client of a hub. Made with `make` or provided by `layer`; it ends with its scope. */
export interface HubClientService {
  /** Where the connection is, now. */
  readonly state: Effect.Effect<ConnectionState>
  /** The state now, and each that follows. Ends after `disconnected`. */
  readonly states: Stream.Stream<ConnectionState, TransportError>
  /**
   * What becomes of the session: each connection, and what was unconfirmed of a session that was lost. What
   * came while nobody ran it, the last 100, comes first.
   */
  readonly sessions: Stream.Stream<SessionEvent, TransportError>
  /** How well the connection is, now. */
  readonly health: Effect.Effect<Health>
  /** The health now, and each change of it. */
  readonly healths: Stream.Stream<Health, TransportError>
  /** The session, as soon as there is one; fails where no retry will bring one. */
  readonly ready: Effect.Effect<HubSession, ConnectFailed>
  /**
   * Decoded envelopes for this client's addresses, as they come: direct ones and broadcasts, asks among
   * them. Not answers to its own asks, nor publications that `subscribe` reads.
   */
  readonly messages: Stream.Stream<Envelope.Envelope, TransportError>
  /** What the hub says unasked: pauses, presence, ends of watched actors, errors about tells. */
  readonly events: Stream.Stream<HubEvent, TransportError>
  /**
   * Sends. Succeeds when the message has left, or is queued as there is no connection; waits while its
   * receiver reads slower than it is sent to, or this client sends faster than the hub allows or works. Interrupted
   * while it waits, it is not sent. Fails `queue_full`, `too_large`, or `closed` where it is not taken. The
   * payload is encoded at once. `until: "acknowledged"`: succeeds when the hub has it for good, and fails,
   * too, where the hub refuses it or the session is lost first.
   */
  readonly tell: {
    (
      to: Address.Address,
      type: string,
      payload: unknown,
      options?: MessageOptions,
    ): Effect.Effect<void, TransportError>
    (
      to: Address.Address,
      type: string,
      payload: unknown,
      options: AcknowledgedOptions,
    ): Effect.Effect<void, RequestError>
  }
  /** Asks an actor; succeeds with the payload of its answer. Interrupting it cancels the ask there too. */
  readonly ask: (
    to: Address.Address,
    type: string,
    payload: unknown,
    options?: AskOptions,
  ) => Effect.Effect<unknown, RequestError>
  /** Answers an ask that came by `messages`. */
  readonly reply: (
    ask: Envelope.Envelope,
    type: string,
    payload: unknown,
  ) => Effect.Effect<void, TransportError>
  /** Registers an address until the scope closes; again on each new connection. */
  readonly register: (
    address: Address.Address,
    options?: RegisterFields,
  ) => Effect.Effect<Registered, RequestError, Scope.Scope>
  /** Subscribes until the scope closes; again on each new connection. The stream has all from the answer on. */
  readonly subscribe: (
    topic: string,
    options?: { readonly durable?: boolean; readonly presence?: boolean },
  ) => Effect.Effect<Stream.Stream<Envelope.Envelope, RequestError>, RequestError, Scope.Scope>
  /** Watches an address until the scope closes; succeeds with the effect that waits for its end. */
  readonly watch: (
    address: Address.Address,
  ) => Effect.Effect<Effect.Effect<Terminated, TransportError>, RequestError, Scope.Scope>
  readonly publish: (
    topic: string,
    type: string,
    data: unknown,
    metadata?: Envelope.Metadata,
  ) => Effect.Effect<Published, RequestError>
  /** One copy to each registered address that the options let through. */
  readonly broadcast: (
    type: string,
    data: unknown,
    options?: BroadcastOptions,
  ) => Effect.Effect<BroadcastAck, RequestError>
  /** A page of registered actors by pattern and tags; `cursor` of one page asks for the next. */
  readonly discover: (
    pattern: string,
    options?: Omit<Discover, "pattern">,
  ) => Effect.Effect<Discovered, RequestError>
  /** A page of all registered actors. Needs the right `list`. */
  readonly listActors: (options?: {
    readonly offset?: number
    readonly limit?: number
  }) => Effect.Effect<ActorList, RequestError>
  /** All who are present on a topic. */
  readonly presence: (topic: string) => Effect.Effect<ReadonlyArray<PresenceMember>, RequestError>
  readonly metrics: Effect.Effect<{ readonly [metric: string]: number }, RequestError>
  readonly queueStats: Effect.Effect<QueueStats, RequestError>
  /** After `superseded`: takes the identity back, putting the other connection out. */
  readonly reclaim: Effect.Effect<void>
  /** Says goodbye and ends for good; waits for the hub's answer at most 1 s. */
  readonly close: Effect.Effect<void>
  /** The client as what carries an actor system's messages. */
  readonly transport: Transport
}

/** The client of a hub, as a service. */
export class HubClient extends Context.Service<HubClient, HubClientService>()(
  "@signal-hub/cloudflare-transport/HubClient",
) {
  /**
   * Begins to connect and returns at once; what is sent meanwhile waits. Ends with the scope. Fails where an
   * option breaks its rule, before there is a socket.
   */
  static readonly make = (
    options: ClientOptions,
  ): Effect.Effect<HubClientService, ConnectFailed, Scope.Scope> => Effect.map(makeCore(options), fromCore)

  /** `make` as a layer. */
  static readonly layer = (options: ClientOptions): Layer.Layer<HubClient, ConnectFailed> =>
    Layer.effect(HubClient, HubClient.make(options))
}

/** The Effect API over a core. */
const fromCore = (core: Core): HubClientService => {
  const { channel, connection } = core
  const taken = (error: TransportError | undefined): Effect.Effect<void, TransportError> =>
    error === undefined ? Effect.void : Effect.fail(error)
  function tell(
    to: Address.Address,
    type: string,
    payload: unknown,
    options?: MessageOptions,
  ): Effect.Effect<void, TransportError>
  function tell(
    to: Address.Address,
    type: string,
    payload: unknown,
    options: AcknowledgedOptions,
  ): Effect.Effect<void, RequestError>
  function tell(
    to: Address.Address,
    type: string,
    payload: unknown,
    options?: MessageOptions | AcknowledgedOptions,
  ): Effect.Effect<void, RequestError> {
    if (options?.until === "acknowledged") {
      return Effect.callback((resume) => {
        const forget = core.tellAcknowledged(to, type, payload, options, (outcome) =>
          resume("error" in outcome ? Effect.fail(outcome.error) : Effect.void),
        )
        return Effect.sync(forget)
      })
    }
    return Effect.suspend(() => {
      const waiting = core.tell(to, type, payload, options)
      if (waiting === undefined || waiting instanceof TransportError) return taken(waiting)
      return Effect.callback((resume) => {
        waiting.left = () => resume(Effect.void)
        return Effect.sync(() => void channel.abandon(waiting.envelope.id))
      })
    })
  }
  return {
    state: Effect.sync(connection.state),
    states: toStream(core.source(connection.states), connection.state),
    sessions: toStream(core.source(channel.session.events)),
    health: Effect.sync(connection.health),
    healths: toStream(core.source(connection.healths), connection.health),
    ready: connection.ready(false),
    messages: toStream(core.source(channel.inbox.messages)),
    events: toStream(core.source(channel.inbox.events)),
    tell,
    ask: (to, type, payload, options) =>
      Effect.callback((resume) => {
        const giveUp = core.ask(to, type, payload, options, (outcome) =>
          resume("error" in outcome ? Effect.fail(outcome.error) : Effect.succeed(outcome.payload)),
        )
        return Effect.sync(giveUp)
      }),
    reply: (ask, type, payload) => Effect.suspend(() => taken(core.reply(ask, type, payload))),
    register: (address, options) => core.hold("hub:register", { actorAddress: address }, options),
    subscribe: (topic, options) =>
      Effect.gen(function* () {
        const stream = yield* collect(core.publications(topic))
        yield* core.hold("hub:subscribe", { topic }, options)
        return stream
      }),
    watch: (address) => Effect.map(watchActor(core, address), ({ terminated }) => terminated),
    publish: (topic, type, data, metadata) => core.request("hub:publish", { topic, type, data }, metadata),
    broadcast: (type, data, options) => broadcast(core, type, data, options),
    discover: (pattern, options) => core.request("hub:discover", { ...options, pattern }),
    listActors: (options = {}) => core.request("hub:list_actors", options),
    presence: (topic) => presenceOf(core, topic),
    metrics: core.request("hub:metrics", {}),
    queueStats: core.request("hub:queue_stats", {}),
    reclaim: Effect.sync(connection.reclaim),
    close: connection.close,
    transport: makeHubTransport(core),
  }
}
