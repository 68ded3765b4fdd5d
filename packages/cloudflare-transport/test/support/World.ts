/**
 * Random lives of a hub: clients that connect, register, ask, answer, take over and vanish, as steps
 * that can be replayed. What each client was sent is written down so that two lives can be compared.
 */
import * as fc from "fast-check"
import type { TokenPayload } from "../../src/auth/Claims.ts"
import type { Limits } from "../../src/protocol/Limits.ts"
import type { Received, TestClient } from "./TestClient.ts"
import { TestHub } from "./TestHub.ts"
import { TestSystem } from "./TestSystem.ts"

const IDENTITIES = ["@(node/a)", "@(node/b)", "@(node/c)"] as const
const ADDRESSES = [...IDENTITIES, "@(node/extra)", "@(room/1)", "@(room/2)"] as const
const TOPICS = ["news", "room/1"] as const
const SLOTS = 4

const slot = fc.nat(SLOTS - 1)
const address = fc.constantFrom(...ADDRESSES)
const topic = fc.constantFrom(...TOPICS)
const flag = fc.boolean()
/** Of a token, where the hub wants them: seconds that it is good for, and whether it allows little. */
const token = fc.record({ life: fc.constantFrom(undefined, 5, 60), narrow: flag })

/** One step of a life. `slot` says which of the clients does it. */
export const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("connect" as const),
      slot,
      identity: fc.option(fc.constantFrom(...IDENTITIES), { nil: undefined }),
      major: fc.constantFrom(0, 1),
      expiry: fc.constantFrom(undefined, 0, 30, 600),
      token,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("register" as const),
      slot,
      address,
      ttl: fc.constantFrom(10, 300),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unregister" as const), slot, address }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("renew" as const),
      slot,
      ttl: fc.constantFrom(undefined, 20),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("subscribe" as const),
      slot,
      topic,
      durable: flag,
      presence: flag,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unsubscribe" as const), slot, topic }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("publish" as const), slot, topic }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tell" as const), slot, to: address }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      slot,
      to: address,
      ttl: fc.constantFrom(null, 0, 500, 5_000),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("answer" as const), slot, more: flag }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("forward" as const), slot, to: address }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("watch" as const), slot, address }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("unwatch" as const), slot, address }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("presence" as const), slot, topic }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("discover" as const),
      slot,
      pattern: fc.constantFrom("*", "@(node/**)", "@(room/*)"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("list" as const), slot, offset: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("send" as const), slot, to: address }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("broadcast" as const), slot, excludeSelf: flag }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("refresh" as const),
      slot,
      identity: fc.constantFrom(...IDENTITIES),
      token,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("disconnect" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), slot }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lateClose" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("ping" as const), slot }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom<number>(1, 60, 1_000, 5_000, 26_000, 40_000, 80_000, 700_000),
    }),
  },
)
export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** So small that pages, slices and objects of what few clients have come to an end. */
const SMALL: Partial<Limits> = { broadcastSlice: 2, maxPageSize: 2, topicNodeSize: 1 }

/** What a life is lived in. */
interface Place {
  readonly open: (identity: string) => TestClient
  readonly now: () => number
  readonly advance: (milliseconds: number) => void
  readonly crash: () => void
}

/** The life of a system of gateways, where who connects has the identity of the slot. */
export class GatewayWorld {
  readonly system: TestSystem
  readonly #world: World

  constructor(limits: Partial<Limits> = {}) {
    const system = new TestSystem({ ...SMALL, ...limits })
    this.system = system
    this.#world = new World(limits, false, {
      open: (identity) => system.open(identity),
      now: system.now,
      advance: (milliseconds) => system.advance(milliseconds),
      crash: () => {
        for (const identity of system.gateways.keys()) system.crash(identity)
      },
    })
  }

  run(step: Step): void {
    const isNamed = step.do !== "connect" || step.identity !== undefined
    this.#world.run(isNamed ? step : { ...step, identity: IDENTITIES[step.slot % IDENTITIES.length] })
  }

  transcript(): ReadonlyArray<unknown> {
    return this.#world.transcript()
  }
}

export class World {
  readonly hub: TestHub
  readonly #place: Place
  /** All clients there ever were, in the order they came, with what each was sent. */
  readonly #clients: Array<{ readonly client: TestClient; readonly heard: Array<Received> }> = []
  readonly #slots: Array<TestClient | undefined> = Array.from({ length: SLOTS })
  /** By client: asks that came and are not answered, asks that it sent, renewal tokens. */
  readonly #toAnswer = new Map<TestClient, Array<Received>>()
  readonly #asked = new Map<TestClient, Array<{ readonly id: string; readonly to: string }>>()
  readonly #tokens = new Map<TestClient, string>()
  /** Sockets that the hub closed, whose close event is still to come. */
  readonly #closing: Array<TestClient> = []
  readonly #closed = new Set<TestClient>()

  /** `tokens`: nobody enters without one. `place`: another than one hub. */
  constructor(limits: Partial<Limits> = {}, tokens = false, place?: Place) {
    const hub = new TestHub({ ...SMALL, ...limits })
    if (tokens) hub.requireTokens()
    this.hub = hub
    this.#place = place ?? {
      open: () => hub.open(),
      now: hub.now,
      advance: (milliseconds) => hub.advance(milliseconds),
      crash: () => hub.crash(),
    }
  }

  run(step: Step): void {
    this.#apply(step)
    this.#gather()
  }

  /** What every client was sent and how it was closed, with random names replaced by their order. */
  transcript(): ReadonlyArray<unknown> {
    return this.#clients.map(({ client, heard }) =>
      anonymous({ heard, close: client.socket.close ?? null, open: client.socket.isOpen }),
    )
  }

  #apply(step: Step): void {
    if (step.do === "advance") return this.#place.advance(step.ms)
    if (step.do === "crash") return this.#place.crash()
    if (step.do === "lateClose") {
      for (const client of this.#closing.splice(0)) client.drop("closed 4409")
      return
    }
    if (step.do === "connect") return this.#connect(step)
    const client = this.#slots[step.slot]
    if (client === undefined || !client.socket.isOpen) return
    this.#act(client, step)
  }

  #connect({ slot, identity, major, expiry, token }: Extract<Step, { do: "connect" }>): void {
    const client = this.#place.open(identity ?? "")
    this.#clients.push({ client, heard: [] })
    this.#slots[slot] = client
    const named = identity === undefined ? {} : { actorIdentity: identity }
    const expires = expiry === undefined ? {} : { sessionExpirySeconds: expiry }
    const authToken = this.#token(identity ?? IDENTITIES[0], token)
    const metadata = { protocolVersion: `${major}.0.0`, ...named, ...expires, authToken }
    client.send({ type: "hub:connect", pattern: "ask", metadata })
  }

  #token(actorId: string, { life, narrow }: Extract<Step, { do: "connect" }>["token"]): string {
    const payload: TokenPayload = {
      actorId,
      ...(life !== undefined && { exp: this.#place.now() / 1_000 + life }),
      ...(narrow
        ? { subscribe: ["room/*"], send: ["@(node/**)"], actors: ["@(room/1)"] }
        : { actors: ["*"], capabilities: ["broadcast", "list", "metrics"] }),
    }
    return JSON.stringify(payload)
  }

  #act(client: TestClient, step: Exclude<Step, { do: "advance" | "crash" | "lateClose" | "connect" }>): void {
    const ask = (type: string, payload: unknown) => client.send({ type, payload, pattern: "ask" })
    switch (step.do) {
      case "register":
        return void ask("hub:register", { actorAddress: step.address, ttlSeconds: step.ttl })
      case "unregister":
        return void ask("hub:unregister", { actorAddress: step.address })
      case "renew":
        return void ask("hub:renew", {
          renewalToken: this.#tokens.get(client) ?? "none",
          ttlSeconds: step.ttl,
        })
      case "subscribe":
        return void ask("hub:subscribe", {
          topic: step.topic,
          durable: step.durable,
          presence: step.presence,
        })
      case "unsubscribe":
        return void ask("hub:unsubscribe", { topic: step.topic })
      case "publish":
        return void ask("hub:publish", { topic: step.topic, type: "item", data: 1 })
      case "tell":
        return void client.tell(step.to, "note")
      case "ask": {
        const id = client.ask(step.to, "question", null, step.ttl)
        return void listOf(this.#asked, client).push({ id, to: step.to })
      }
      case "answer": {
        const question = listOf(this.#toAnswer, client).shift()
        if (question === undefined) return
        const metadata = step.more ? { stream: { n: 1, done: false } } : {}
        return void client.answer(question, 42, { from: question.to, metadata })
      }
      case "cancel": {
        const question = listOf(this.#asked, client).shift()
        if (question === undefined) return
        return void client.send({ to: question.to, type: "actor:cancel", correlationId: question.id })
      }
      case "forward": {
        const question = listOf(this.#toAnswer, client).shift()
        if (question === undefined) return
        const { id, from, type, payload } = question
        return void client.send({
          id,
          from,
          to: step.to,
          type,
          payload,
          pattern: "ask",
          metadata: { forwardOf: id },
        })
      }
      case "watch":
        return void ask("hub:watch", { actorAddress: step.address })
      case "unwatch":
        return void ask("hub:unwatch", { actorAddress: step.address })
      case "presence":
        return void ask("hub:presence", { topic: step.topic })
      case "discover":
        return void ask("hub:discover", { pattern: step.pattern })
      case "list":
        return void ask("hub:list_actors", { offset: step.offset })
      case "send":
        return void ask("hub:send", { to: step.to, type: "note", data: 1 })
      case "broadcast":
        return void ask("hub:broadcast", { type: "note", data: 1, excludeSelf: step.excludeSelf })
      case "refresh":
        return void ask("hub:refresh_token", { token: this.#token(step.identity, step.token) })
      case "disconnect":
        return void ask("hub:disconnect", {})
      case "drop":
        return client.drop()
      case "ping":
        return client.hub.ping(client.socket)
    }
  }

  /** Takes what came on every socket, and remembers what later steps refer to. */
  #gather(): void {
    for (const { client, heard } of this.#clients) {
      for (const envelope of client.take()) {
        heard.push(envelope)
        if (envelope.pattern === "ask") listOf(this.#toAnswer, client).push(envelope)
        const token = envelope.payload?.renewalToken
        if (typeof token === "string") this.#tokens.set(client, token)
      }
      const { close } = client.socket
      if (close !== undefined && !this.#closed.has(client)) {
        this.#closed.add(client)
        this.#closing.push(client)
      }
    }
  }
}

const listOf = <A>(lists: Map<TestClient, Array<A>>, client: TestClient): Array<A> => {
  let list = lists.get(client)
  if (list === undefined) lists.set(client, (list = []))
  return list
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g
const MESSAGE_ID = /(?<![\w-])[\w-]{16}(?![\w-])/g

/** The value with each random name in it replaced by the order of its first appearance. */
const anonymous = (value: unknown): unknown => {
  const names = new Map<string, string>()
  const rename = (name: string): string => {
    let known = names.get(name)
    if (known === undefined) names.set(name, (known = `#${names.size}`))
    return known
  }
  return JSON.parse(JSON.stringify(value).replace(UUID, rename).replace(MESSAGE_ID, rename))
}
