/** A process of an identity: the real client on simulated sockets, and what it does with what it hears. */
import { type Address, type Envelope, Protocol } from "@signal-hub/actor-core"
import {
  connect,
  type ConnectionState,
  type Hub,
  type HubEvent,
  type Listening,
  type Registration,
  type SessionEvent,
  type Watch,
} from "@signal-hub/cloudflare-transport/client"
import * as Schema from "effect/Schema"
import { Host } from "../platform/Host.ts"
import type { Network } from "../platform/Network.ts"
import type { Random } from "../platform/Random.ts"
import type { Simulation } from "../platform/Simulation.ts"
import type { Disk } from "./Disk.ts"
import type { Content, Ledger } from "./Ledger.ts"
import { makeToken } from "./tokens.ts"
import type { Answering, Step } from "./Plan.ts"

type StepOf<Kind extends Step["do"]> = Extract<Step, { readonly do: Kind }>

/** Milliseconds that a late answer takes. */
const LATE = 3_000

/** Milliseconds until an actor that could not be served is served again. */
const SERVE_AGAIN = 200

/** The protocol of who takes messages by an actor. */
const Notes = Protocol.make("Notes", {
  note: Protocol.tell({ payload: Schema.Unknown }),
  question: Protocol.ask({ payload: Schema.Unknown, success: Schema.Unknown }),
})

/** Why a session is never refused to who has it. */
const IMPOSSIBLE: ReadonlySet<string> = new Set(["forbidden", "server_reset", "buffer_overflow"])

export interface PartyOptions {
  readonly url: string
  readonly identity: string
  readonly withToken: boolean
  readonly how: StepOf<"connect">
  /** Where it keeps its session. */
  readonly disk: Disk | undefined
}

/** What an ask carries beside. */
interface Asked extends Content {
  readonly id: string
  readonly answering: Answering
}

interface Watched {
  readonly to: string
  watch: Watch | undefined
  isOver: boolean
}

export class Party extends Host {
  readonly identity: Address.Address
  readonly options: PartyOptions
  hub: Hub | undefined
  readonly watches: Array<Watched> = []
  isClosing = false
  readonly #simulation: Simulation
  readonly #network: Network
  readonly #ledger: Ledger
  readonly #registrations = new Map<string, Registration>()
  /** By topic; `null`: it is being asked for. */
  readonly #subscriptions = new Map<string, Listening | null>()
  /** By address: how often this process was told that it ended. */
  readonly #terminated = new Map<string, number>()
  #asks = 0

  constructor(
    name: string,
    random: Random,
    options: PartyOptions,
    world: { readonly simulation: Simulation; readonly network: Network; readonly ledger: Ledger },
  ) {
    super(name, random)
    this.options = options
    this.identity = options.identity as Address.Address
    this.#simulation = world.simulation
    this.#network = world.network
    this.#ledger = world.ledger
  }

  get status(): string {
    return this.hub?.state.status ?? "connecting"
  }

  // All that follows is called as an event of this host.

  async begin(): Promise<void> {
    const { disk, how, identity, url, withToken } = this.options
    try {
      this.hub = await connect(url, {
        ...(withToken ? { token: () => makeToken(identity, how.tokenLife) } : { identity: this.identity }),
        codec: how.codec,
        sessionExpirySeconds: how.expiry,
        waitOnFirstConnect: true,
        askTimeout: 10_000,
        queueLimit: 200,
        wakeups: [],
        ...(disk !== undefined && { persistence: disk.of(this) }),
        webSocket: (to, protocols) => this.#network.open(this, to, protocols),
      })
    } catch (error) {
      return this.#simulation.note(`${this.name} did not connect`, String(error))
    }
    this.#simulation.note(`${this.name} connected`)
    const { takesAfter } = this.options.how
    if (takesAfter === null) this.#take(this.hub)
    else setTimeout(() => this.#take(this.hub!), takesAfter)
    this.hub.onState((state) => this.#entered(state))
    this.hub.onSession((event) => this.#session(event))
    this.hub.onEvent((event) => this.#event(event))
    this.#hold(this.hub.register(this.identity))
  }

  tell(
    { count, reliable, to }: Pick<StepOf<"tell">, "count" | "reliable" | "to">,
    identities: ReadonlyArray<string>,
  ): void {
    const { hub } = this
    if (hub === undefined) return
    const address = identities[to] as Address.Address
    for (let i = 0; i < count; i++) {
      const content = this.#ledger.next(this.name, address, reliable ? "reliably" : "tell")
      if (reliable && content.n % 2 === 0) this.#tellAcknowledged(hub, address, content)
      else {
        try {
          void hub.tell(address, "note", content, { reliable })
        } catch (error) {
          this.#told(content, error)
        }
      }
      this.#ledger.named(content, this.lastId)
    }
  }

  /** Tells one after another, for as long as it takes. */
  stream({ count, every, to }: StepOf<"stream">, identities: ReadonlyArray<string>): void {
    const next = (left: number): void => {
      if (left === 0) return
      this.tell({ count: 1, reliable: true, to }, identities)
      setTimeout(() => next(left - 1), every)
    }
    next(count)
  }

  #tellAcknowledged(hub: Hub, address: Address.Address, content: Content): void {
    hub.tell(address, "note", content, { until: "acknowledged" }).then(
      () => this.#ledger.acknowledged(content),
      (error: unknown) => this.#told(content, error),
    )
  }

  #told(content: Content, error: unknown): void {
    this.#simulation.note(`${this.name} could not tell ${content.n}`, String(error))
    this.#ledger.told(content, String(error))
  }

  ask({ abortAfter, answering, timeout, to }: StepOf<"ask">, identities: ReadonlyArray<string>): void {
    const { hub } = this
    if (hub === undefined) return
    const address = identities[to] as Address.Address
    const id = `${this.name} ask ${++this.#asks}`
    const content = { ...this.#ledger.next(this.name, address, "ask"), answering, id }
    this.#ledger.asked(id, this.name)
    const abort = new AbortController()
    void this.#awaited(id, hub.ask(address, "question", content, { timeout, signal: abort.signal }))
    if (abortAfter !== null) setTimeout(() => abort.abort(new Error("given up")), abortAfter)
  }

  async #awaited(id: string, asked: Promise<unknown>): Promise<void> {
    try {
      const answer = await asked
      this.#ledger.answered++
      if ((answer as { readonly id?: string } | null)?.id !== id) {
        this.#ledger.broken("an answer is to its ask", `${id} was answered ${JSON.stringify(answer)}`)
      }
    } catch (error) {
      this.#simulation.note(`${id} failed`, String(error))
    }
    this.#ledger.askEnded(id)
  }

  subscribe({ topic }: StepOf<"subscribe">): void {
    const { hub } = this
    if (hub === undefined || this.#subscriptions.has(topic)) return
    this.#subscriptions.set(topic, null)
    const heard = ({ payload }: Envelope.Envelope): void =>
      this.#ledger.received(this.name, payload as Content)
    this.#hold(
      hub.onPublication(topic, heard),
      (listening) => this.#subscriptions.set(topic, listening),
      () => this.#subscriptions.delete(topic),
    )
  }

  unsubscribe({ topic }: StepOf<"unsubscribe">): void {
    const listening = this.#subscriptions.get(topic)
    if (listening === undefined || listening === null) return
    this.#subscriptions.delete(topic)
    this.#hold(listening.unsubscribe())
  }

  publish({ topic }: StepOf<"publish">): void {
    if (this.hub === undefined) return
    const content = this.#ledger.next(this.name, topic, "publish")
    const failed = (): void => this.#ledger.told(content, "its fate is not known")
    this.#hold(this.hub.publish(topic, "news", content), () => {}, failed)
  }

  register({ name, ttl }: StepOf<"register">): void {
    const { hub } = this
    if (hub === undefined || this.#registrations.has(name)) return
    this.#hold(hub.register(name as Address.Address, { ttlSeconds: ttl }), (registration) =>
      this.#registrations.set(name, registration),
    )
  }

  unregister({ name }: StepOf<"unregister">): void {
    const registration = this.#registrations.get(name)
    if (registration === undefined) return
    this.#registrations.delete(name)
    this.#hold(registration.unregister())
  }

  watch({ to }: StepOf<"watch">, identities: ReadonlyArray<string>): void {
    const { hub } = this
    if (hub === undefined) return
    const watched: Watched = { to: identities[to]!, watch: undefined, isOver: false }
    this.watches.push(watched)
    this.#ledger.watches(this.identity, watched.to)
    this.#hold(hub.watch(watched.to as Address.Address), (watch) => {
      watched.watch = watch
      const over = (): void => void (watched.isOver = true)
      watch.terminated.then(over, over)
    })
  }

  reclaim(): void {
    if (this.status === "superseded") this.#ledger.reclaimed(this.name)
    this.hub?.reclaim()
  }

  close(): void {
    // Who is still connecting goes on, and takes what comes.
    if (this.hub === undefined) return
    this.isClosing = true
    this.#hold(this.hub.close())
  }

  #entered(state: ConnectionState): void {
    this.#simulation.note(`${this.name} is ${state.status}`)
    if (state.status !== "disconnected") return
    for (const { id } of state.undelivered) this.#ledger.toldOf(id, "undelivered")
  }

  #event({ correlationId, payload, type }: HubEvent): void {
    if (correlationId !== null) this.#ledger.toldOf(correlationId, type)
    if (type !== "hub:terminated") return
    const { actorAddress } = payload
    const told = (this.#terminated.get(actorAddress) ?? 0) + 1
    this.#terminated.set(actorAddress, told)
    // What an earlier process of the identity watched, is watched for this one.
    const asked = this.#ledger.watched(this.identity, actorAddress)
    // Not yet promised: a gateway may say that nobody is there, and that who was there has ended.
    if (told > asked * (this.options.url.includes("/gateway") ? 2 : 1)) {
      this.#ledger.broken("a watcher is told once", `${this.name} was told ${told} times of ${actorAddress}`)
    }
  }

  #session(event: SessionEvent): void {
    if (event.type === "unconfirmed") {
      const { envelopes, reason } = event.unconfirmed
      this.#simulation.note(`${this.name} has unconfirmed`, `${envelopes.length}, ${reason}`)
      for (const { id } of envelopes) this.#ledger.toldOf(id, "unconfirmed")
    } else if (event.type === "unclaimed") {
      const { envelope, reason } = event
      if (reason === "expired") return this.#simulation.note(`${this.name} took too late`, envelope.id)
      this.#ledger.broken("an envelope waits for who takes it", `${this.name}: ${envelope.id}, ${reason}`)
    } else if (event.type !== "notStored") {
      const grant = event.session.session
      this.#simulation.note(`${this.name} ${event.type}`, JSON.stringify(grant))
      // Who is honest, and is not put out, has its session again or finds it expired.
      if (event.type === "notResumed" && IMPOSSIBLE.has(event.reason)) {
        this.#ledger.broken("a session that is there is resumed", `${this.name}: ${event.reason}`)
      }
      if (grant !== null) this.#ledger.accepted(event.type, this.identity, grant.epoch, this.name)
    }
  }

  /** From now on messages are taken. */
  #take(hub: Hub): void {
    if (this.options.how.takes === "listener") {
      hub.onMessage((envelope) => this.#heard(envelope))
      return
    }
    const serving = hub.serve(
      Notes,
      {
        note: (content) => this.#received(content as Content),
        question: (content, context) => {
          this.#received(content as Content)
          const { answering, id } = content as Asked
          const { succeed } = context.replyLater()
          this.#answer(answering, () => succeed({ id }))
        },
      },
      { address: this.identity },
    )
    // Where the hub does not hear of it in time, there is no actor.
    const again = (): void => void setTimeout(() => this.isClosing || this.#take(hub), SERVE_AGAIN)
    this.#hold(serving, () => {}, again)
  }

  #heard(envelope: Envelope.Envelope): void {
    const content = envelope.payload as Asked | null
    // A publication that nobody here reads any more, or yet.
    if (typeof content?.by !== "string" || envelope.metadata.publication === true) return
    this.#received(content)
    if (envelope.pattern !== "ask") return
    this.#answer(content.answering, () => {
      try {
        this.hub?.reply(envelope, "answer", { id: content.id })
      } catch (error) {
        this.#simulation.note(`${this.name} could not reply`, String(error))
      }
    })
  }

  #received(content: Content): void {
    if (content.to === this.identity) return this.#ledger.received(this.name, content)
    this.#ledger.broken("nothing for others", `${this.name} was given what is for ${content.to}`)
  }

  #answer(answering: Answering, reply: () => void): void {
    if (answering === "late") setTimeout(reply, this.random.next() * LATE)
    else if (answering === "at once") reply()
  }

  /** Goes on with what the request gave; that it failed is noted. */
  #hold<A>(request: Promise<A>, then: (result: A) => void = () => {}, failed: () => void = () => {}): void {
    request.then(then, (error: unknown) => {
      this.#simulation.note(`${this.name} was refused`, String(error))
      failed()
    })
  }
}
