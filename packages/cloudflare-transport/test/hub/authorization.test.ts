/** What sessions may do under their tokens; who connects with a token is in `tokens.test.ts`. */
import { describe, expect, it } from "vitest"
import type { TokenPayload } from "../../src/auth/Claims.ts"
import type { Received } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"

/** A hub that wants tokens. */
const newHub = () => new TestHub().requireTokens()
const ada = (hub: TestHub, more: Partial<TokenPayload> = {}) => hub.enter({ actorId: "user/ada", ...more })
const bob = (hub: TestHub, more: Partial<TokenPayload> = {}) => hub.enter({ actorId: "user/bob", ...more })

const code = (answer: Received) => (answer.type === "hub:error" ? answer.payload.code : answer.type)
/** A refusal without what each refusal has of its own. */
const said = (answer: Received) => ({ type: answer.type, from: answer.from, payload: answer.payload })

describe("identity", () => {
  it("fault 24: is the token's, from hub:connect on; another one is forbidden", () => {
    const hub = newHub()
    const client = hub.open({ actorId: "user/ada" })
    expect(code(client.connect(BOB))).toBe("forbidden")
    expect(client.connect(ADA).metadata).toMatchObject({ actorIdentity: ADA })
    expect(ada(hub).connect(ADA).payload.code).toBe("invalid_message")
  })

  it("fault 23: `from` is the token's identity, whatever a client writes", () => {
    const hub = newHub()
    const a = ada(hub)
    const b = bob(hub)
    a.send({ to: BOB, from: "@(user/admin)" })
    expect(b.takeOne().from).toBe(ADA)
  })
})

describe("registering", () => {
  it("fault 24: what is not in the token is forbidden, whether or not somebody holds it", () => {
    const hub = newHub()
    const b = bob(hub, { actors: ["@(room/*)"] })
    expect(b.register("@(room/1)").type).toBe("hub:registered")
    const a = ada(hub)
    for (const address of [BOB, "@(user/nobody)", "@(room/1)", "@(room/2)"]) {
      expect(code(a.register(address))).toBe("forbidden")
    }
    const [held, free] = [a.register("@(room/1)"), a.register("@(room/2)")].map(said)
    expect(JSON.stringify(held).replaceAll("room/1", "room/2")).toBe(JSON.stringify(free))
    expect(hub.sql.count("registration")).toBe(1)
    expect(b.take()).toEqual([])
  })

  it("one's identity, what lies below it and what the token names is granted", () => {
    const hub = newHub()
    const a = ada(hub, { actors: ["@(room/*)"] })
    for (const address of [ADA, "@(user/ada/tab/1)", "@(room/1)"]) {
      expect(a.register(address).type).toBe("hub:registered")
    }
  })

  it("fault 24: reserved addresses are forbidden to everybody", () => {
    const hub = newHub()
    const a = ada(hub, { actors: ["*"] })
    expect(code(a.register("@(cloudflare/signal-hub)"))).toBe("forbidden")
    expect(code(a.register(`@(session/${a.sessionId})`))).toBe("forbidden")
  })

  it("fault 24: only the holder renews or unregisters", () => {
    const hub = newHub()
    const a = ada(hub)
    const b = bob(hub)
    const { renewalToken } = b.register(BOB).payload
    expect(code(a.request("hub:renew", { renewalToken }))).toBe("forbidden")
    expect(code(a.request("hub:unregister", { actorAddress: BOB }))).toBe("forbidden")
    expect(said(a.request("hub:unregister", { actorAddress: "@(user/nobody)" }))).toEqual(
      said(a.request("hub:unregister", { actorAddress: BOB })),
    )
    expect(b.request("hub:renew", { renewalToken }).type).toBe("hub:renewed")
    expect(code(b.request("hub:renew", { renewalToken }))).toBe("forbidden")
  })
})

describe("sending", () => {
  const narrow = { send: ["@(service/**)"] }
  const meet = () => {
    const hub = newHub()
    const a = ada(hub, narrow)
    const b = bob(hub)
    b.register(BOB)
    const service = hub.enter({ actorId: "service/1" })
    service.register("@(service/1)")
    return { hub, a, b, service }
  }

  it("fault 27: is forbidden where the token does not allow it: tell, ask, hub:send; nothing arrives", () => {
    const { a, b } = meet()
    const told = a.tell(BOB, "note")
    expect(a.takeOne()).toMatchObject({ correlationId: told, payload: { code: "forbidden" } })
    const asked = a.ask(BOB, "question")
    expect(a.takeOne()).toMatchObject({ correlationId: asked, payload: { code: "forbidden" } })
    expect(code(a.request("hub:send", { to: BOB, type: "note", data: 1 }))).toBe("forbidden")
    a.send({ type: "hub:send", payload: { to: BOB, type: "note", data: 1 } })
    expect(code(a.takeOne())).toBe("forbidden")
    expect(b.take()).toEqual([])
  })

  it("a refusal does not tell whether anybody is there", () => {
    const { a } = meet()
    const answers = (to: string) => {
      a.tell(to, "note")
      a.ask(to, "question")
      return [
        ...a.take(),
        a.request("hub:send", { to, type: "note", data: 1 }),
        a.watch(to),
        a.request("hub:discover", { pattern: to }),
      ].map(said)
    }
    const existing = JSON.stringify(answers(BOB))
    expect(JSON.stringify(answers("@(user/nob)")).replaceAll("user/nob", "user/bob")).toBe(existing)
  })

  it("an answer goes to whoever asked, and to nobody else", () => {
    const { a, b, service } = meet()
    const question = b.ask(ADA, "question")
    const came = a.takeOne()
    a.answer(came, 42)
    expect(b.takeOne()).toMatchObject({ correlationId: question, payload: 42, from: ADA })
    a.answer(came, 43)
    service.send({ to: BOB, type: "answer", correlationId: question, payload: 44 })
    expect(b.take()).toEqual([])
  })

  it("an ask can't be forwarded to where its holder may not send", () => {
    const { a, b, service } = meet()
    const question = b.ask(ADA, "question")
    const { id, from } = a.takeOne()
    a.send({ id, from, to: BOB, type: "question", pattern: "ask", metadata: { forwardOf: id } })
    expect(code(a.takeOne())).toBe("forbidden")
    expect(b.take()).toEqual([])
    a.send({ id, from, to: "@(service/1)", type: "question", pattern: "ask", metadata: { forwardOf: id } })
    service.answer(service.takeOne(), 1)
    expect(b.takeOne()).toMatchObject({ correlationId: question, payload: 1 })
  })

  it("fault 27: broadcasting needs the right, and reaches only what may be sent to", () => {
    const { hub, a, b, service } = meet()
    const request = ["hub:broadcast", { type: "note", data: 1 }] as const
    expect(code(a.request(...request))).toBe("forbidden")
    const loud = hub.enter({ actorId: "user/eve", capabilities: ["broadcast"], ...narrow })
    expect(loud.request(...request).payload).toMatchObject({ deliveredCount: 1 })
    expect(service.takeOne().type).toBe("note")
    expect(b.take()).toEqual([])
  })

  it("the capabilities of hub:connect and of a registration are tags, never rights", () => {
    const hub = newHub()
    const a = hub.open({ actorId: "user/ada" })
    a.connect(undefined, { capabilities: ["broadcast", "list", "metrics"] })
    a.register(ADA, { capabilities: ["broadcast", "list", "metrics"] })
    expect(code(a.request("hub:broadcast", { type: "note", data: 1 }))).toBe("forbidden")
    expect(code(a.request("hub:metrics", {}))).toBe("forbidden")
  })
})

describe("seeing", () => {
  it("fault 27: discovery, listing and watching show only what may be sent to", () => {
    const hub = newHub()
    bob(hub).register(BOB)
    const a = ada(hub, { capabilities: ["list"], send: [ADA] })
    a.register(ADA)
    const addresses = ({ payload }: Received) =>
      (payload.actors as ReadonlyArray<{ readonly address: string }>).map(({ address }) => address)
    expect(addresses(a.request("hub:discover", { pattern: "@(user/*)" }))).toEqual([ADA])
    expect(addresses(a.request("hub:discover", { pattern: "*" }))).toEqual([ADA])
    expect(addresses(a.request("hub:list_actors", {}))).toEqual([ADA])
    expect(code(a.watch(BOB))).toBe("forbidden")
    expect(a.watch(ADA).payload).toMatchObject({ registered: true })
  })

  it("fault 27: a cursor is of nothing that may not be seen, however much of that there is", () => {
    const hub = new TestHub({ maxAddressesPerSession: 5_000 }).requireTokens()
    const b = bob(hub, { actors: ["*"] })
    for (let n = 0; n < 2_100; n++) b.register(`@(a/hidden-${n})`)
    for (const name of ["a", "shown-1", "shown-2"]) b.register(`@(a/${name})`)
    const a = ada(hub, { send: ["@(a/a)", "@(a/shown-*)"] })
    const found: Array<unknown> = []
    for (let cursor: unknown; found.length < 10;) {
      a.send({ type: "hub:discover", pattern: "ask", payload: { pattern: "@(a/*)", limit: 1, cursor } })
      hub.advance(0)
      const { payload } = a.takeOne()
      found.push(
        ...(payload.actors as ReadonlyArray<{ readonly address: string }>).map(({ address }) => address),
      )
      if (payload.hasMore !== true) break
      cursor = payload.cursor
      expect(atob(String(cursor))).not.toContain("hidden")
    }
    expect(found).toEqual(["@(a/a)", "@(a/shown-1)", "@(a/shown-2)"])
  })

  it("fault 27: to discover all, to list and to read metrics need their rights", () => {
    const hub = newHub()
    const a = ada(hub)
    for (const pattern of ["*", "**", "@(**)", "@(*/**)"]) {
      expect(code(a.request("hub:discover", { pattern }))).toBe("forbidden")
    }
    expect(code(a.request("hub:list_actors", {}))).toBe("forbidden")
    expect(code(a.request("hub:metrics", {}))).toBe("forbidden")
    const b = bob(hub, { capabilities: ["list", "metrics"] })
    expect(b.request("hub:discover", { pattern: "*" }).type).toBe("hub:discovered")
    expect(b.request("hub:list_actors", {}).type).toBe("hub:actor_list")
    expect(b.request("hub:metrics", {}).type).toBe("hub:metrics_response")
  })

  it("fault 27: topics are subscribed, published on and looked into by the token alone", () => {
    const hub = newHub()
    const b = bob(hub)
    b.subscribe("secret/1")
    const a = ada(hub, { subscribe: ["news/*"], publish: ["talk/*"] })
    for (const presence of [false, true]) {
      expect(code(a.subscribe("secret/1", { presence }))).toBe("forbidden")
    }
    expect(code(a.request("hub:presence", { topic: "secret/1" }))).toBe("forbidden")
    expect(code(a.request("hub:publish", { topic: "secret/1", type: "item", data: 1 }))).toBe("forbidden")
    expect(b.take()).toEqual([])
    expect(a.subscribe("news/1", { presence: true }).type).toBe("hub:subscribed")
    expect(a.request("hub:presence", { topic: "news/1" }).type).toBe("hub:presence_state")
    expect(a.request("hub:publish", { topic: "talk/1", type: "item", data: 1 }).type).toBe("hub:published")
  })

  it("faults 24, 28: nobody is shown another's token or claims", () => {
    const hub = newHub()
    const b = bob(hub, { hubs: ["default", "s3cret-hub"], capabilities: ["list"] })
    const renewalToken = String(b.register(BOB, { metadata: { public: 1 } }).payload.renewalToken)
    b.subscribe("room", { presence: true })
    const a = ada(hub, { capabilities: ["list", "metrics"] })
    const shown = [
      a.subscribe("room"),
      a.request("hub:discover", { pattern: "*" }),
      a.request("hub:list_actors", {}),
      a.request("hub:presence", { topic: "room" }),
      a.request("hub:metrics", {}),
      a.watch(BOB),
    ]
    hub.advance(1_000)
    const all = JSON.stringify([shown, a.take(), b.take(), hub.logs])
    expect(all).toContain("public")
    expect(all).not.toContain(renewalToken)
    expect(all).not.toMatch(/s3cret|"hubs"|claims/)
  })
})

describe("refusals", () => {
  it("are logged, without token and claims", () => {
    const hub = newHub()
    const a = ada(hub, { send: ["@(s3cret/*)"] })
    a.tell(BOB, "note")
    a.register(BOB)
    expect(hub.logged("request_forbidden")).toHaveLength(2)
    expect(hub.logged("request_forbidden")[0]).toMatchObject({
      actorIdentity: ADA,
      reason: expect.stringContaining(BOB),
    })
    expect(JSON.stringify(hub.logs)).not.toContain("s3cret")
  })
})
