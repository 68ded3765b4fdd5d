/** A connected hub, for the Promise API. What it does is done in the modules that it names. */
import type { Address, Envelope, Handlers, NoOthers, Protocol, Transport } from "@signal-hub/actor-core"
import { TransportError } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Message from "../protocol/HubMessage.ts"
import type { ActorHost } from "./ActorHost.ts"
import { actorHandle, type ActorHandle, type ServedActor, type ServeOptions } from "./Actors.ts"
import { watchActor, type Watch } from "./ActorWatch.ts"
import type { RequestError } from "./ClientError.ts"
import type { AskOptions, Core } from "./Core.ts"
import { toAsyncIterable } from "./Emitter.ts"
import { makeHubTransport } from "./HubTransport.ts"
import type { HubEvent } from "./Inbox.ts"
import type { AcknowledgedOptions, MessageOptions } from "./Message.ts"
import {
  broadcast,
  presenceOf,
  type BroadcastOptions,
  type RegisterFields,
  type Registration,
} from "./Requests.ts"
import type { ConnectionState, Health, HubSession, SessionEvent } from "./State.ts"
import { listen, subscribe, type Listening, type ListenOptions, type Subscription } from "./Subscription.ts"

/** What most tells resolve by, without an allocation. */
const LEFT = Promise.resolve()

/** A connected hub. Made by `connect`; ends by `close`, or as its `await using` block does. */
export class Hub implements AsyncDisposable {
  readonly #core: Core
  readonly #scope: Scope.Closeable
  #actors: Promise<ActorHost> | undefined
  /** The client as what carries an actor system's messages. */
  readonly transport: Transport

  constructor(core: Core, scope: Scope.Closeable) {
    this.#core = core
    this.#scope = scope
    this.transport = makeHubTransport(core)
  }

  /** Where the connection is. */
  get state(): ConnectionState {
    return this.#core.connection.state()
  }

  /** How well the connection is. */
  get health(): Health {
    return this.#core.connection.health()
  }

  /** What the hub said when it accepted; `null` while there is no connection. */
  get session(): HubSession | null {
    const { state } = this
    return state.status === "connected" ? state.session : null
  }

  /** The hub's name for this session; neither an address nor a secret. */
  get sessionId(): string | null {
    return this.session?.sessionId ?? null
  }

  /** The address that this client speaks for; `null` while there is none, or no connection. */
  get identity(): Address.Address | null {
    return this.session?.actorIdentity ?? null
  }

  /** Calls with each new state, from now on. The result stops it. */
  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#core.connection.states.on(listener)
  }

  /**
   * Calls with what becomes of the session: each connection, and what was unconfirmed of a session that was
   * lost. What came before anybody listened, the last 100, comes at once. The result stops it.
   */
  onSession(listener: (event: SessionEvent) => void): () => void {
    return this.#core.channel.session.events.on(listener)
  }

  /** Calls with the health each time that it may have changed. The result stops it. */
  onHealth(listener: (health: Health) => void): () => void {
    return this.#core.connection.healths.on(listener)
  }

  /**
   * Calls with each decoded envelope for this client's addresses, as it comes, asks among them: not
   * answers to its own asks, nor publications that `subscribe` reads. Envelopes that neither a listener nor an actor
   * has taken yet come first. The result stops it.
   */
  onMessage(listener: (envelope: Envelope.Envelope) => void): () => void {
    return this.#core.channel.inbox.messages.on(listener)
  }

  /** Calls with what the hub says unasked: pauses, presence, ends of actors, errors about tells. */
  onEvent(listener: (event: HubEvent) => void): () => void {
    return this.#core.channel.inbox.events.on(listener)
  }

  /** What `onMessage` would hear, from this call on. Throws when its reader falls 10,000 behind. */
  messages(): AsyncIterableIterator<Envelope.Envelope> {
    return toAsyncIterable(this.#core.source(this.#core.channel.inbox.messages), () => {})
  }

  /**
   * Sends. Resolves when the message has left, or is queued as there is no connection: not while its
   * receiver reads slower than it is sent to, or this client sends faster than the hub allows or works. Await it,
   * and what waits stays small; who does not finds the bounded queue full at last. Never rejects, but
   * throws a `TransportError` at once: `queue_full`, `too_large`, or `closed`. The payload is encoded at
   * once. `until: "acknowledged"`: resolves when the hub has it for good, and rejects with a `RequestError`
   * where it is not taken, the hub refuses it, or the session is lost first.
   */
  tell(
    to: Address.Address,
    type: string,
    payload?: unknown,
    options?: MessageOptions | AcknowledgedOptions,
  ): Promise<void> {
    if (options?.until === "acknowledged") {
      return new Promise((resolve, reject) => {
        this.#core.tellAcknowledged(to, type, payload, options, (outcome) =>
          "error" in outcome ? reject(outcome.error) : resolve(),
        )
      })
    }
    const waiting = this.#core.tell(to, type, payload, options)
    if (waiting === undefined) return LEFT
    if (waiting instanceof TransportError) throw waiting
    return new Promise((resolve) => {
      waiting.left = resolve
    })
  }

  /** Asks an actor; resolves with the payload of its answer, rejects with a `RequestError`. Aborting cancels it there too. */
  ask(
    to: Address.Address,
    type: string,
    payload?: unknown,
    options?: AskOptions & { readonly signal?: AbortSignal },
  ): Promise<unknown> {
    const signal = options?.signal
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      let isOpen = true
      const abort = (): void => {
        giveUp()
        reject(signal?.reason)
      }
      const giveUp = this.#core.ask(to, type, payload, options, (outcome) => {
        isOpen = false
        signal?.removeEventListener("abort", abort)
        if ("error" in outcome) reject(outcome.error)
        else resolve(outcome.payload)
      })
      // An ask that fails at once would leave it at the signal for ever.
      if (isOpen) signal?.addEventListener("abort", abort, { once: true })
    })
  }

  /** Answers an ask that came by `onMessage` or `messages`. Throws as `tell` does. */
  reply(ask: Envelope.Envelope, type: string, payload?: unknown): void {
    const error = this.#core.reply(ask, type, payload)
    if (error !== undefined) throw error
  }

  /** Makes an address of this client discoverable and reached by broadcasts, also after a reconnect. */
  async register(address: Address.Address, options?: RegisterFields): Promise<Registration> {
    const [registered, unregister] = await this.#hold(
      this.#core.hold<Message.Registered>("hub:register", { actorAddress: address }, options),
    )
    return { ...registered, unregister, [Symbol.asyncDispose]: unregister }
  }

  /** Subscribes to a topic, also after a reconnect: publications to iterate, at the reader's own pace. */
  subscribe(topic: string, options?: Omit<Message.Subscribe, "topic">): Subscription {
    return subscribe(this.#core, topic, options)
  }

  /**
   * Subscribes to a topic, also after a reconnect, and calls with each publication, decoded, as its frame
   * comes: nothing is kept for a listener, so that this costs less than `subscribe`. Resolves when the hub
   * has accepted, rejects where it refuses.
   */
  async onPublication(
    topic: string,
    listener: (publication: Envelope.Envelope) => void,
    options?: ListenOptions,
  ): Promise<Listening> {
    const [subscribed, unsubscribe] = await this.#hold(listen(this.#core, topic, listener, options))
    return { ...subscribed, unsubscribe, [Symbol.asyncDispose]: unsubscribe }
  }

  /** Watches an address for its end, also after a reconnect. */
  async watch(address: Address.Address): Promise<Watch> {
    const [{ registered, terminated }, unwatch] = await this.#hold(watchActor(this.#core, address))
    const end = Effect.runPromise(terminated)
    end.catch(() => {})
    return { registered, terminated: end, unwatch, [Symbol.asyncDispose]: unwatch }
  }

  /**
   * Serves an actor, at this client's identity unless `options.address` says otherwise: one function for
   * each message of its protocol. Rejects where the address is refused.
   */
  async serve<P extends Protocol.Any, H extends Handlers<P>>(
    protocol: P,
    handlers: H & NoOthers<P, H>,
    options?: ServeOptions,
  ): Promise<ServedActor> {
    const address = options?.address ?? this.identity
    if (address === null) {
      const message = "there is no address to serve at: connect with an identity, or pass `address`"
      throw new TransportError({ reason: "refused", message })
    }
    // Not for a listener alone: the actor is on its way.
    const ready = this.#core.channel.inbox.messages.expect(address)
    try {
      const stop = await (await this.#host()).serve(protocol, handlers, address, options)
      return { address, stop, [Symbol.asyncDispose]: stop }
    } finally {
      ready()
    }
  }

  /** An actor by its address, typed by its protocol. Asks nobody whether it is there. */
  actor<P extends Protocol.Any>(protocol: P, address: Address.Address): ActorHandle<P> {
    return actorHandle(() => this.#host(), protocol, address)
  }

  /** Publishes on a topic; resolves with the number of its subscribers. */
  publish(
    topic: string,
    type: string,
    data: unknown,
    metadata?: Envelope.Metadata,
  ): Promise<Message.Published> {
    return Effect.runPromise(this.#core.request("hub:publish", { topic, type, data }, metadata))
  }

  /** One copy to each registered address that the options let through. */
  broadcast(type: string, data: unknown, options?: BroadcastOptions): Promise<Message.BroadcastAck> {
    return Effect.runPromise(broadcast(this.#core, type, data, options))
  }

  /** A page of registered actors by pattern and tags; `cursor` of one page asks for the next. */
  discover(pattern: string, options?: Omit<Message.Discover, "pattern">): Promise<Message.Discovered> {
    return Effect.runPromise(this.#core.request("hub:discover", { ...options, pattern }))
  }

  /** A page of all registered actors. Needs the right `list`. */
  listActors(
    options: { readonly offset?: number; readonly limit?: number } = {},
  ): Promise<Message.ActorList> {
    return Effect.runPromise(this.#core.request("hub:list_actors", options))
  }

  /** All who are present on a topic. */
  presence(topic: string): Promise<ReadonlyArray<Message.PresenceMember>> {
    return Effect.runPromise(presenceOf(this.#core, topic))
  }

  /** Counters of the hub. Needs the right `metrics`. */
  metrics(): Promise<{ readonly [metric: string]: number }> {
    return Effect.runPromise(this.#core.request("hub:metrics", {}))
  }

  /** How full the hub's queue of this session is. */
  queueStats(): Promise<Message.QueueStats> {
    return Effect.runPromise(this.#core.request("hub:queue_stats", {}))
  }

  /** After `superseded`: takes the identity back, putting the other connection out. */
  reclaim(): void {
    this.#core.connection.reclaim()
  }

  /**
   * Says goodbye and ends for good; waits for the hub's answer at most 1 s. May be called again. From the call on no
   * listener and no actor is given a message, a publication or an event any more. An iteration gives what it has, and
   * an open ask may still be answered.
   */
  close(): Promise<void> {
    // At once, and not when its turn comes among what else ends: the rest of a frame may follow.
    this.#core.channel.inbox.close()
    return Effect.runPromise(Scope.close(this.#scope, Exit.void))
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** The actor system, loaded and made when it is first needed. */
  #host(): Promise<ActorHost> {
    this.#actors ??= import("./ActorHost.ts").then(({ makeActorHost }) =>
      makeActorHost(this.#core, this.#scope),
    )
    return this.#actors
  }

  /** Acquires in a scope of its own; the result and what closes it. */
  async #hold<A>(
    acquire: Effect.Effect<A, RequestError, Scope.Scope>,
  ): Promise<readonly [A, () => Promise<void>]> {
    const scope = Scope.makeUnsafe()
    const release = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
    try {
      return [await Effect.runPromise(Scope.provide(acquire, scope)), release]
    } catch (error) {
      await release()
      throw error
    }
  }
}
