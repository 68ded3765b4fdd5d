/**
 * One process that speaks for an identity: our client, on sockets that can be torn from it, talking to all
 * identities as fast as it is let, and telling the ledger of all that it does and hears.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Protocol } from "@signal-hub/actor-core"
import { AskError, type Address, type Envelope } from "@signal-hub/actor-core/vocabulary"
import {
  connect,
  type ConnectOptions,
  type Hub,
  type OpenSocket,
  type SocketLike,
} from "@signal-hub/cloudflare-transport/client"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { WebSocket } from "ws"
import type { Ledger, Mark, Message } from "./Ledger.ts"
import type { Random } from "./random.ts"

/** Milliseconds that an ask may take: longer than any fault. */
const ASK_TIMEOUT = 60_000
/** Seconds that a session waits: longer than a run. */
const SESSION_EXPIRY = 3_600
/** Messages of one process on their way at a time. */
const MOST_OPEN = 100
/** Longest pause between what a process says: such that all that can happen meets few messages, not many. */
const PAUSE = 800
/** Longest text that a message carries, and how many carry one. */
const LONGEST = 20_000
const LONG = 0.02
/** How many asks are answered late, and how late at most, in milliseconds. */
const LATE = 0.2
const LATEST = 1_500
/** How many processes take messages by an actor, how many of all do so late, and how late at most. */
const ACTORS = 0.4
const SERVED_LATE = 0.5
const SERVED_LATEST = 3_000
/** Milliseconds until an actor that could not be served is served again. */
const SERVE_AGAIN = 200

/** The protocol of who takes messages by an actor. */
const Notes = Protocol.make("Notes", {
  note: Protocol.tell({ payload: Schema.Unknown }),
  question: Protocol.ask({ payload: Schema.Unknown, success: Schema.Unknown }),
})

export interface Surroundings {
  readonly url: string
  readonly ledger: Ledger
  readonly random: Random
  readonly identities: ReadonlyArray<Address.Address>
  /** Whether another message is to be sent; counts it. */
  readonly mayTalk: () => boolean
  /** Whether nobody is to begin anything now. */
  readonly isLull: () => boolean
}

interface Payload {
  readonly mark: Mark
  readonly text: string
}

const markOf = (payload: unknown): Mark | undefined => (payload as Partial<Payload> | null)?.mark

export class Process {
  readonly name: string
  readonly identity: Address.Address
  readonly #world: Surroundings
  readonly #sockets = new Set<WebSocket>()
  readonly #ending = new AbortController()
  #hub: Hub | undefined
  #crashed = false
  #open = 0

  constructor(name: string, identity: Address.Address, world: Surroundings) {
    this.name = name
    this.identity = identity
    this.#world = world
  }

  /** Connects: from then on it holds the identity, whoever did before. */
  async start(): Promise<void> {
    const { ledger, random, url } = this.#world
    ledger.began(this.name, this.identity)
    const options: ConnectOptions = {
      identity: this.identity,
      codec: random.chance(0.5) ? "msgpack" : "json",
      sessionExpirySeconds: SESSION_EXPIRY,
      askTimeout: ASK_TIMEOUT,
      waitOnFirstConnect: true,
      schedule: Schedule.spaced(`${Math.round(random.between(50, 300))} millis`),
      webSocket: this.#openSocket,
      wakeups: [],
      signal: this.#ending.signal,
    }
    const hub = await connect(url, options)
    if (this.#crashed) return hub.close()
    this.#hub = hub
    hub.onSession((event) => {
      if (event.type === "unconfirmed") {
        const { reason, envelopes } = event.unconfirmed
        for (const envelope of envelopes) this.#report(envelope, `unconfirmed: ${reason}`)
      } else if (event.type === "unclaimed") {
        ledger.violated("an envelope waits for who takes it", undefined, `${this.name}: ${event.envelope.id}`)
      } else if (event.type !== "notStored") {
        ledger.connected(this.name, event.session.session?.epoch ?? 0, event.type)
        if (event.type !== "notResumed" || event.reason === "superseded") return
        ledger.violated(
          "a session is resumed",
          undefined,
          `${this.name} of ${this.identity}: ${event.reason}`,
        )
      }
    })
    if (random.chance(SERVED_LATE)) setTimeout(() => this.#serve(hub), random.between(0, SERVED_LATEST))
    else this.#serve(hub)
    hub.onEvent(({ type, payload, correlationId }) => {
      if (type !== "hub:error" && type !== "hub:unknown_actor") return
      if (correlationId !== null) ledger.refused(this.name, `${type} ${JSON.stringify(payload)}`)
    })
    hub.onState((state) => {
      if (state.status === "reconnecting" && state.retryInMs > 0)
        this.#note(`lost: ${state.code} ${state.cause}`)
      if (state.status === "superseded") this.#note("is superseded")
      if (state.status !== "disconnected") return
      this.#note(`is disconnected: ${state.cause}`)
      for (const envelope of state.undelivered) this.#report(envelope, "undelivered")
    })
  }

  /** Whether it speaks for the identity, as far as it knows. */
  get isConnected(): boolean {
    return this.#hub?.state.status === "connected"
  }

  get isSuperseded(): boolean {
    return this.#hub?.state.status === "superseded"
  }

  get epoch(): number {
    return this.#hub?.session?.session?.epoch ?? 0
  }

  /** Takes the identity back. */
  reclaim(): void {
    this.#note("reclaims")
    this.#hub?.reclaim()
  }

  /** Talks to everybody until it ends, or enough was said. */
  async talk(): Promise<void> {
    const { random, mayTalk, isLull } = this.#world
    while (!this.#ending.signal.aborted) {
      if (this.isSuperseded) return
      if (this.#open < MOST_OPEN && !isLull()) {
        const count = random.chance(0.1) ? 30 : random.between(1, 5)
        for (let n = 0; n < count; n++) {
          if (!mayTalk()) return
          this.#say()
        }
      }
      await sleep(random.between(0, PAUSE))
    }
  }

  /** Ends without a word, and remembers nothing. */
  crash(): void {
    this.#crashed = true
    this.#world.ledger.died(this.name)
    this.#ending.abort()
    for (const socket of this.#sockets) socket.terminate()
    void this.#hub?.close()
  }

  /** Ends as it should. */
  async close(): Promise<void> {
    this.#ending.abort()
    await this.#hub?.close()
  }

  #say(): void {
    const { ledger, random, identities } = this.#world
    const hub = this.#hub!
    const to = random.one(identities)
    const text = "x".repeat(random.chance(LONG) ? random.between(0, LONGEST) : random.between(0, 100))
    const kind = random.next()
    if (kind < 0.15) {
      const mark = ledger.sendsVolatile(this.name, to)
      return this.#attempt(undefined, () => hub.tell(to, "note", { mark, text } satisfies Payload))
    }
    const message = ledger.sends(this.name, to, kind < 0.5 ? "tell" : kind < 0.8 ? "acknowledged" : "ask")
    const { by, n } = message
    const payload: Payload = { mark: { by, to, n, volatile: false }, text }
    if (message.kind === "tell") {
      return this.#attempt(message, () => hub.tell(to, "note", payload, { reliable: true }))
    }
    void this.#await(
      message,
      message.kind === "acknowledged"
        ? hub.tell(to, "note", payload, { until: "acknowledged" })
        : hub.ask(to, "question", payload),
    )
  }

  async #await(message: Message, sent: Promise<unknown>): Promise<void> {
    const { ledger } = this.#world
    this.#open++
    try {
      const answer = (await sent) as Pick<Mark, "by" | "n">
      if (message.kind === "acknowledged") ledger.ended(message, "acknowledged", "acknowledged")
      else {
        if (answer.n !== message.n || answer.by !== message.by) {
          ledger.violated("an answer is of its ask", message, JSON.stringify(answer))
        }
        ledger.ended(message, "answered", "answered")
      }
    } catch (error) {
      if (error instanceof AskError.AskTimeout) ledger.timedOut(message)
      ledger.ended(message, "reported", String(error))
    }
    this.#open--
  }

  /** What is not even taken is reported by that. */
  #attempt(message: Message | undefined, send: () => Promise<void>): void {
    this.#open++
    try {
      void send().then(() => this.#open--)
    } catch (error) {
      this.#open--
      if (message !== undefined) this.#world.ledger.ended(message, "reported", String(error))
    }
  }

  /** From now on messages are taken: by an actor, or by a listener. */
  #serve(hub: Hub): void {
    if (this.#crashed) return
    if (!this.#world.random.chance(ACTORS)) {
      hub.onMessage((envelope) => {
        const isAsk = envelope.pattern === "ask"
        this.#take(envelope.payload, isAsk ? (answer) => hub.reply(envelope, "answer", answer) : undefined)
      })
      return
    }
    const serve = (): void => {
      hub
        .serve(
          Notes,
          {
            note: (payload) => this.#take(payload),
            question: (payload, context) => this.#take(payload, context.replyLater().succeed),
          },
          { address: this.identity },
        )
        .catch((error: unknown) => {
          this.#note(`can't serve: ${String(error)}`)
          if (!this.#ending.signal.aborted) setTimeout(serve, SERVE_AGAIN)
        })
    }
    serve()
  }

  #take(payload: unknown, answer?: (answer: Pick<Mark, "by" | "n">) => void): void {
    const mark = markOf(payload)
    if (mark === undefined) return
    const { ledger, random } = this.#world
    ledger.delivered(this.name, mark)
    if (answer === undefined) return
    const give = (): void => {
      if (this.#crashed) return
      try {
        answer({ by: mark.by, n: mark.n })
      } catch (error) {
        this.#note(`can't answer: ${String(error)}`)
      }
    }
    if (random.chance(LATE)) setTimeout(give, random.between(0, LATEST))
    else give()
  }

  #report(envelope: Envelope.Envelope, how: string): void {
    const mark = markOf(envelope.payload)
    if (mark !== undefined && !mark.volatile) this.#world.ledger.reported(mark, how)
  }

  #note(what: string): void {
    if (!this.#crashed) this.#world.ledger.note(this.identity, `${this.name} ${what}`)
  }

  /** A socket that a crash takes along. */
  readonly #openSocket: OpenSocket = (url, protocols) => {
    if (this.#crashed) throw new Error("the process is gone")
    const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false })
    this.#sockets.add(socket)
    socket.on("close", () => this.#sockets.delete(socket))
    // `ws` has the methods of the platform's WebSocket, but types its events more narrowly.
    return socket as unknown as SocketLike
  }
}
