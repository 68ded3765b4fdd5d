/** What one client can do to another, learn of it, or say in its name, when each has a token. */
import { describe, expect, it } from "vitest"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { UNHURRIED, useHub } from "../support/hub.ts"
import { unique } from "../support/names.ts"
import {
  envelope,
  fieldsOf,
  listOf,
  textOf,
  type Fields,
  type RawClient,
  type Received,
} from "../support/RawClient.ts"
import { hs256, inSeconds, SECRET } from "../support/tokens.ts"

// Who sends until a token expires sends more than the rate allows, on a machine that is fast enough.
const hub = useHub({ vars: { AUTH_MODE: "token", JWT_SECRET: SECRET }, limits: UNHURRIED })

const bearer = (payload: Fields) => ({ Authorization: `Bearer ${hs256(payload)}` })
/** A connected client of an identity that nobody else has. */
const enter = async (more: Fields = {}, name = unique("user"), metadata: Fields = {}): Promise<RawClient> => {
  const client = await hub.connect({
    identity: null,
    metadata,
    headers: bearer({ actorId: `test/${name}`, ...more }),
  })
  client.identity = `@(test/${name})`
  return client
}
const register = (client: RawClient, actorAddress = client.identity, more: Fields = {}) =>
  client.ask("hub:register", { actorAddress, ...more })
/** A refusal, without what is each one's own: its id and time, and the address that was asked for. */
const said = (answer: Received, address: string): string => {
  const { type, from, payload } = answer
  return JSON.stringify({ type, from, payload }).replaceAll(address, "X")
}

describe("identity", () => {
  it("of another is forbidden: in hub:connect, and as an address", async () => {
    const victim = await enter()
    const attacker = await hub.open({ headers: bearer({ actorId: "test/attacker" }) })
    expectError(await attacker.handshake({ identity: victim.identity }), "forbidden")
    expect((await attacker.handshake({ identity: null })).type).toBe("hub:connected")
    for (const address of [victim.identity, `${victim.identity.slice(0, -1)}/tab)`]) {
      expectError(await register(attacker, address), "forbidden")
    }
    await expectQuiet(victim, attacker)
  })

  it("that is reserved is forbidden to everybody", async () => {
    const attacker = await enter({ actors: ["*"] })
    for (const address of ["@(cloudflare/signal-hub)", `@(session/${attacker.sessionId})`, "@(session/x)"]) {
      expectError(await register(attacker, address), "forbidden")
    }
  })

  it("written as from is replaced by the sender's own", async () => {
    const [victim, attacker] = [await enter(), await enter()]
    await attacker.send(envelope({ to: victim.identity, from: "@(cloudflare/signal-hub)", type: "note" }))
    await attacker.send(envelope({ to: victim.identity, from: victim.identity, type: "note" }))
    for (let i = 0; i < 2; i++) expect((await victim.expect("note")).from).toBe(attacker.identity)
  })
})

describe("for somebody else, nobody", () => {
  it("renews or unregisters", async () => {
    const [victim, attacker] = [await enter(), await enter()]
    const renewalToken = textOf(await register(victim), "renewalToken")
    expectError(await attacker.ask("hub:renew", { renewalToken }), "forbidden")
    expectError(await attacker.ask("hub:unregister", { actorAddress: victim.identity }), "forbidden")
    expect((await victim.ask("hub:renew", { renewalToken })).type).toBe("hub:renewed")
  })

  it("answers an ask, by a made-up answer, as the hub, or under the asked one's name", async () => {
    const [asker, asked, attacker] = [await enter(), await enter(), await enter()]
    const question = envelope({ to: asked.identity, type: "question", pattern: "ask" })
    await asker.send(question)
    await asked.expect("question")
    for (const from of [asked.identity, attacker.identity, "@(cloudflare/signal-hub)"]) {
      await attacker.send(envelope({ to: asker.identity, from, type: "answer", correlationId: question.id }))
    }
    await expectQuiet(asker, attacker)
    await asked.send(envelope({ to: asker.identity, type: "answer", payload: 1, correlationId: question.id }))
    expect((await asker.answerTo(question.id, "question")).from).toBe(asked.identity)
  })

  it("cancels or forwards its ask", async () => {
    const [asker, asked, attacker] = [await enter(), await enter(), await enter()]
    const question = envelope({ to: asked.identity, type: "question", pattern: "ask" })
    await asker.send(question)
    await asked.expect("question")
    await attacker.send(
      envelope({
        to: asked.identity,
        from: asker.identity,
        type: "actor:cancel",
        correlationId: question.id,
      }),
    )
    await attacker.send(
      envelope({
        id: question.id,
        from: asker.identity,
        to: attacker.identity,
        type: "question",
        pattern: "ask",
        metadata: { forwardOf: question.id },
      }),
    )
    expect((await attacker.expect("question")).from).toBe(attacker.identity)
    await expectQuiet(asked, attacker)
  })

  it("speaks hub:*, wrapped in a send, a broadcast or a publication", async () => {
    const [victim, attacker] = [await enter(), await enter({ capabilities: ["broadcast"] })]
    await register(victim)
    await victim.ask("hub:subscribe", { topic: "news" })
    const inner = { type: "hub:disconnect", data: { reason: "unauthorized" } }
    for (const [type, more] of [
      ["hub:send", { to: victim.identity }],
      ["hub:broadcast", {}],
      ["hub:publish", { topic: "news" }],
    ] as const) {
      expectError(await attacker.ask(type, { ...inner, ...more }), "invalid_message")
    }
    // Sent straight, it is a request to the hub, whoever it is sent to.
    await attacker.send(envelope({ to: victim.identity, type: "hub:terminated", payload: {} }))
    expectError(await attacker.expect("hub:error"), "unknown_type")
    await expectQuiet(victim, attacker)
  })

  it("refreshes a token: another identity's is forbidden", async () => {
    const [victim, attacker] = [await enter(), await enter()]
    const stolen = hs256({ actorId: victim.identity, capabilities: ["metrics"] })
    expectError(await attacker.ask("hub:refresh_token", { token: stolen }), "forbidden")
    expectError(await attacker.ask("hub:metrics", {}), "forbidden")
  })
})

describe("nobody learns", () => {
  it("who is there, by discovery or by a list, without the right to list", async () => {
    const attacker = await enter()
    for (const pattern of ["*", "**", "@(**)", "@(*/**)", "@(*/*)"]) {
      expectError(await attacker.ask("hub:discover", { pattern }), "forbidden")
    }
    expectError(await attacker.ask("hub:list_actors", {}), "forbidden")
    expectError(await attacker.ask("hub:metrics", {}), "forbidden")
    expectError(await attacker.ask("hub:broadcast", { type: "note", data: 1 }), "forbidden")
  })

  it("whether an address that it may not send to exists: each request answers the same", async () => {
    const victim = await enter()
    await register(victim)
    const attacker = await enter({ send: ["@(service/**)"] })
    const absent = `@(test/${unique("absent")})`
    const answers = async (to: string): Promise<ReadonlyArray<string>> => {
      const tell = envelope({ to, type: "note" })
      const all = [
        await attacker.request(tell),
        await attacker.request(envelope({ to, type: "question", pattern: "ask" })),
        await attacker.ask("hub:send", { to, type: "note", data: 1 }),
        await attacker.ask("hub:watch", { actorAddress: to }),
        await attacker.ask("hub:register", { actorAddress: to }),
        await attacker.ask("hub:unregister", { actorAddress: to }),
        await attacker.ask("hub:discover", { pattern: to }),
      ]
      return all.map((answer) => said(answer, to))
    }
    expect(await answers(victim.identity)).toEqual(await answers(absent))
    await expectQuiet(victim, attacker)
  })

  it("who is on a topic, or what is said there, that it may not read", async () => {
    const topic = `secret/${unique("topic")}`
    const victim = await enter()
    await victim.ask("hub:subscribe", { topic })
    const attacker = await enter({ subscribe: ["open/**"], publish: ["open/**"] })
    for (const name of [topic, "secret/never-used"]) {
      expectError(await attacker.ask("hub:presence", { topic: name }), "forbidden")
      expectError(await attacker.ask("hub:subscribe", { topic: name, presence: true }), "forbidden")
      expectError(await attacker.ask("hub:publish", { topic: name, type: "item", data: 1 }), "forbidden")
    }
    await expectQuiet(victim, attacker)
  })

  it("another's token, claims or renewal token", async () => {
    const secret = unique("s3cret")
    const victim = await enter({ hubs: ["default", secret], actors: [`@(${secret}/*)`] })
    const renewalToken = textOf(
      await register(victim, victim.identity, { metadata: { shown: 1 } }),
      "renewalToken",
    )
    const topic = `open/${unique("topic")}`
    await victim.ask("hub:subscribe", { topic })
    const viewer = await enter({ capabilities: ["list", "metrics"] })
    await viewer.ask("hub:subscribe", { topic, presence: true })
    const found = await viewer.ask("hub:discover", { pattern: victim.identity })
    expect(listOf(found, "actors")[0]).toMatchObject({ metadata: { shown: 1 } })
    await viewer.ask("hub:list_actors", {})
    await viewer.ask("hub:presence", { topic })
    await viewer.ask("hub:metrics", {})
    await viewer.ask("hub:watch", { actorAddress: victim.identity })
    const seen = viewer.frames.join("\n")
    expect(seen).not.toContain(renewalToken)
    expect(seen).not.toMatch(/s3cret|eyJ/)
  })
})

describe("expiry", () => {
  it("of a silent session's token, evicted meanwhile: told and closed", async () => {
    const exp = inSeconds(2)
    const client = await enter({ exp })
    await client.sync()
    await hub.server().evict()
    const { payload } = await client.expect("hub:disconnect")
    expect(payload).toMatchObject({ reason: "token_expired" })
    expect(await client.closed()).toMatchObject({ code: 4401 })
    expect(Date.now() / 1_000).toBeGreaterThanOrEqual(exp)
  })

  it("is put off by hub:refresh_token, whose claims hold from then on", async () => {
    const client = await enter({ exp: inSeconds(2) })
    expectError(await client.ask("hub:metrics", {}), "forbidden")
    const fresh = hs256({ actorId: client.identity, exp: inSeconds(600), capabilities: ["metrics"] })
    const refreshed = await client.ask("hub:refresh_token", { token: fresh })
    expect(refreshed.type).toBe("hub:token_refreshed")
    expect(Number(fieldsOf(refreshed.payload).expiresAt)).toBeGreaterThan(Date.now() + 500_000)
    const other = await enter({ exp: inSeconds(2) })
    await other.closed()
    expect((await client.ask("hub:metrics", {})).type).toBe("hub:metrics_response")
  })

  it("nothing is delivered after it: a stream of tells stops at the moment", async () => {
    const sender = await enter()
    const expiresAt = Math.floor(inSeconds(1.5) * 1_000)
    const victim = await enter({ exp: expiresAt / 1_000 })
    while (victim.isOpen) {
      await sender.send(envelope({ to: victim.identity, type: "tick", payload: Date.now() }))
      await sender.sync()
    }
    const ticks = victim.frames
      .flatMap((frame): ReadonlyArray<Fields> => [JSON.parse(String(frame))].flat())
      .filter(({ type }) => type === "tick")
    expect(ticks.length).toBeGreaterThan(0)
    for (const { payload } of ticks) expect(payload).toBeLessThan(expiresAt)
  })
})

describe("rates", () => {
  it("fault 69: that a token claims hold in place of the deployment's, bursts in proportion", async () => {
    const client = await enter({ limits: { maxEnvelopesPerSecond: 10 } })
    const heartbeats = Array.from({ length: 20 }, () =>
      envelope({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask" }),
    )
    await client.raw(JSON.stringify(heartbeats))
    const refused = await client.expect("hub:rate_limited")
    expect(refused.payload).toMatchObject({ limit: 10 })
    const trusted = await hub.open({
      headers: bearer({ actorId: `test/${unique("user")}`, limits: { maxBytesPerSecond: 1_000 } }),
    })
    const connected = await trusted.handshake({ identity: null })
    expect(fieldsOf(connected.payload).limits).toMatchObject({
      maxEnvelopesPerSecond: 1e6,
      maxBytesPerSecond: 1_000,
      byteBurst: 1_000,
    })
  })

  it("that are no rates make the token none", async () => {
    const client = await hub.open({
      headers: bearer({ actorId: "test/x", limits: { maxEnvelopesPerSecond: -1 } }),
    })
    expect((await client.closed()).code).toBe(4401)
  })
})
