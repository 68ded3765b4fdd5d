/**
 * Bad input at a gateway, where tokens are wanted: whoever sends it hears what became of it, typed, and
 * nobody else hears anything. What only a hand-written backend does wrong, such as to answer twice, is
 * tested where such backends are: `gateway.test.ts` of the transport's own tests.
 */
import { afterEach, beforeEach, expect, test } from "vitest"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"
import { unique } from "../support/names.ts"
import { codeOf, envelope, fieldsOf, RawClient, type Fields, type Received } from "../support/RawClient.ts"
import { hs256, inSeconds, SECRET } from "../support/tokens.ts"

const hub = useHub({
  vars: { AUTH_MODE: "token", JWT_SECRET: SECRET },
  limits: { pauseThreshold: 8_000, resumeThreshold: 2_000, maxEnvelopesPerSecond: 1e6, envelopeBurst: 1e6 },
})

const clients: Array<RawClient> = []
afterEach(() => {
  for (const client of clients.splice(0)) client.terminate()
})

const open = async (payload: Fields, query = ""): Promise<RawClient> => {
  const client = await RawClient.open(`${hub.url().replace(/\/ws$/, "/gateway")}${query}`, {
    headers: { Authorization: `Bearer ${hs256(payload)}` },
  })
  clients.push(client)
  return client
}

/** A connected client of an identity that nobody else has, by a token that says this of it. */
const enter = async (more: Fields = {}, name = unique("member"), query = ""): Promise<RawClient> => {
  const client = await open({ actorId: `member/${name}`, ...more }, query)
  expect((await client.handshake({ identity: null })).type).toBe("hub:connected")
  client.identity = `@(member/${name})`
  return client
}

const newLedger = () => `@(ledger/${unique("ledger")})`
const asked = (client: RawClient, to: string, type = "question", more: Fields = {}): Promise<Received> =>
  client.request(envelope({ to, type, pattern: "ask", ...more }))

/** Somebody who has nothing to do with it. */
let bystander: RawClient
beforeEach(async () => {
  bystander = await enter()
})
/** The bystander heard nothing, and is served. */
afterEach(async () => {
  if (bystander.isOpen) expect(await bystander.rest()).toEqual([])
})

test("somebody else's identity: the token's gateway is entered, and no other can be claimed there", async () => {
  const victim = await enter()
  const query = `?identity=${encodeURIComponent(victim.identity)}`
  const attacker = await open({ actorId: `member/${unique("attacker")}` }, query)
  expectError(await attacker.handshake({ identity: victim.identity }), "forbidden")
  expect((await attacker.handshake({ identity: null })).type).toBe("hub:connected")
  expectError(await attacker.ask("hub:register", { actorAddress: victim.identity }), "forbidden")
  await attacker.send(envelope({ to: victim.identity, from: bystander.identity, type: "note" }))
  expect((await victim.expect("note")).from).not.toBe(bystander.identity)
  expect(await victim.rest()).toEqual([])
})

test("claims that don't cover the target: forbidden, whether it is there or not, and nothing is woken", async () => {
  const [friend, other] = [await enter(), await enter()]
  const ada = await enter({ send: [friend.identity] })
  const name = unique("ledger")
  for (const to of [other.identity, "@(member/nobody)", `@(ledger/${name})`, "@(lobby/nobody)"]) {
    expectError(await asked(ada, to), "forbidden")
    expectError(await ada.request(envelope({ to, type: "note" })), "forbidden")
    expectError(await ada.ask("hub:send", { to, type: "note" }), "forbidden")
    expectError(await ada.ask("hub:watch", { actorAddress: to }), "forbidden")
  }
  expect(await hub.server().evictObject("LedgerActor", name)).toBe(false)
  expect(await other.rest()).toEqual([])
  await ada.send(envelope({ to: friend.identity, type: "note" }))
  await friend.expect("note")
})

test("a type not in the table: nobody is there", async () => {
  const ada = await enter()
  for (const to of ["@(shop/1)", "@(LEDGER/1)", "@(Ledger/1)", "@(ledgers/1)"]) {
    expect(await asked(ada, to)).toMatchObject({ type: "hub:unknown_actor", payload: { actorAddress: to } })
  }
})

test("fault 32: an address with a hostile name leads to nobody; what is no address is refused", async () => {
  const ada = await enter()
  const types = [
    "constructor",
    "__proto__",
    "prototype",
    "toString",
    "hasOwnProperty",
    "SESSION_GATEWAY",
    "env",
  ]
  for (const type of types) {
    expect((await asked(ada, `@(${type}/x)`)).type).toBe("hub:unknown_actor")
    expect((await asked(ada, `@(ledger/${type})`, type)).type).toBe("actor:error")
    expect((await ada.ask("hub:watch", { actorAddress: `@(${type}/x)` })).payload).toMatchObject({
      registered: false,
    })
  }
  for (const to of [
    "@(ledger/..)",
    "@(ledger/a/../b)",
    "@(ledger)",
    "ledger/1",
    `@(ledger/${"x".repeat(300)})`,
  ]) {
    expectError(await asked(ada, to), "invalid_message", "invalid_address")
  }
})

test("a token that expires mid-ask: the session is closed 4401, and the answer goes nowhere", async () => {
  const bob = await enter()
  const ada = await enter({ exp: inSeconds(2) })
  const question = envelope({ to: bob.identity, type: "question", pattern: "ask" })
  await ada.send(question)
  const { id, from } = await bob.expect("question")
  expect((await ada.expect("hub:disconnect")).payload).toMatchObject({ reason: "token_expired" })
  expect((await ada.closed()).code).toBe(4401)
  await bob.send(envelope({ to: from, type: "answer", correlationId: id }))
  const again = await enter({}, from.slice("@(member/".length, -1))
  expect(await again.rest()).toEqual([])
})

test("ten tabs of one identity at once: one is served, each other is closed 4409", async () => {
  const name = unique("member")
  const tabs = await Promise.all(Array.from({ length: 10 }, () => open({ actorId: `member/${name}` })))
  for (const tab of tabs) {
    await tab.send(envelope({ type: "hub:connect", pattern: "ask", metadata: { protocolVersion: "1.0.0" } }))
  }
  const standing = new Set(tabs)
  while (standing.size > 1) {
    const { tab, code } = await Promise.race(
      [...standing].map(async (tab) => ({ tab, code: await tab.closeFrame })),
    )
    expect(code).toBe(4409)
    standing.delete(tab)
  }
  const [winner] = standing
  await bystander.send(envelope({ to: `@(member/${name})`, type: "note" }))
  expect((await winner!.expect("note")).from).toBe(bystander.identity)
})

test("a client that never reads: who sends to it hears so, who sends to others is not held up", async () => {
  const [reader, ada, bob] = [await enter(), await enter(), await enter()]
  reader.stopReading()
  const refused = async (): Promise<unknown> => {
    for (let n = 0; n < 200; n++) {
      const note = envelope({ to: reader.identity, type: "note", payload: "x".repeat(1_000) })
      await ada.send(note)
      await ada.sync()
      const said = (await ada.rest()).find((one) => one.correlationId === note.id)
      if (said !== undefined) return codeOf(said)
    }
    return undefined
  }
  expect(await refused()).toBe("queue_full")
  const answer = asked(bob, ada.identity)
  await ada.send(
    envelope({ to: bob.identity, type: "answer", correlationId: (await ada.expect("question")).id }),
  )
  expect((await answer).type).toBe("answer")
})

test("an actor that throws: actor:error for its asker, without its text", async () => {
  const [ada, bob, ledger] = [await enter(), await enter(), newLedger()]
  await bob.send(envelope({ to: ledger, type: "put", payload: 1 }))
  const failed = await asked(ada, ledger, "fail")
  expect(failed).toMatchObject({ type: "actor:error", from: ledger, payload: { code: "actor_failed" } })
  expect(JSON.stringify(failed)).not.toContain("secret")
  expect(fieldsOf(await asked(bob, ledger, "all")).payload).toEqual([1])
  expect(await bob.rest()).toEqual([])
})

test("an actor that hangs: its asker hears timeout, others are answered meanwhile", async () => {
  const [ada, bob, ledger] = [await enter(), await enter(), newLedger()]
  const hanging = asked(ada, ledger, "hang", { ttl: 500 })
  expect((await asked(bob, ledger, "all")).payload).toEqual([])
  expectError(await hanging, "timeout")
})
