/** protocol.md, section 8: reliable sessions. */
import { describe, expect, test } from "vitest"
import { envelope, type Fields, fieldsOf, HUB, type RawClient, type Received } from "../support/RawClient.ts"
import { address, topic } from "../support/names.ts"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub()

/** `hub:connected.payload.session`. */
interface Session {
  readonly epoch: number
  readonly resumeToken: string
  readonly resumed: boolean
  readonly reason?: string
  readonly kept: { readonly registrations: number; readonly subscriptions: number; readonly watches: number }
  readonly expirySeconds: number
  readonly inSeq: number
  readonly outFirst: number
  readonly outNext: number
}

/** A client that numbers what it sends and keeps track of what comes. */
interface Party {
  readonly client: RawClient
  readonly session: Session
  /** Sends reliably; gives the id. */
  readonly surely: (fields: Fields) => Promise<string>
  /** What it takes to go on with the session. */
  readonly resume: (lastSeq: number) => Fields
}

const begin = async (
  identity: string,
  metadata: Fields = {},
  expectation = "hub:connected",
): Promise<Party> => {
  const client = await hub.open({ named: identity, identity })
  const answer = await client.handshake({
    identity,
    metadata: { sessionExpirySeconds: 60, ...metadata },
  })
  expect(answer.type, JSON.stringify(answer.payload)).toBe(expectation)
  const session = fieldsOf(answer.payload).session as Session
  let seq = session.inSeq
  return {
    client,
    session,
    surely: async (fields) => {
      const one = envelope({ seq: ++seq, ...fields })
      await client.send(one)
      return one.id
    },
    resume: (lastSeq) => ({
      resume: { sessionId: client.sessionId, resumeToken: session.resumeToken, lastSeq },
    }),
  }
}

const acknowledge = (client: RawClient, through: number): Promise<void> =>
  client.send(envelope({ type: "hub:ack", payload: { through, bytes: 0 } }))

const receipt = (client: RawClient, through: number): Promise<Received> =>
  client.expectThat(
    `the receipt for ${through}`,
    ({ type, payload }) => type === "hub:ack" && Number(fieldsOf(payload).through) >= through,
  )

/** The next envelopes of actors and of the hub that are numbered, in the order in which they come. */
const sequenced = async (client: RawClient, count: number) => {
  const came: Array<readonly [type: string, seq: number | undefined]> = []
  while (came.length < count) {
    const one = await client.expectThat("a numbered envelope", ({ seq }) => seq !== undefined)
    came.push([one.type, one.seq])
  }
  return came
}

describe("the session", () => {
  test("hub:connected tells a client of 1.0 what it takes to resume, and none of 0.x", async () => {
    const identity = address("ada")
    const { client, session } = await begin(identity)
    expect(session).toEqual({
      epoch: expect.any(Number),
      resumeToken: expect.stringMatching(/.{16,}/),
      resumed: false,
      kept: { registrations: 0, subscriptions: 0, watches: 0 },
      expirySeconds: 60,
      inSeq: 0,
      outFirst: 1,
      outNext: 1,
    })
    client.terminate()
    const old = await hub.open({ named: identity, identity })
    const answer = await old.handshake({ identity, version: "0.1.0" })
    expect(answer.payload).not.toHaveProperty("session")
  })
})

describe("sequence", () => {
  test("reliable envelopes are numbered for each receiver from 1, and received for; volatile ones are neither", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const to = bob.client.identity
    await ada.surely({ to, type: "one" })
    await ada.client.send(envelope({ to, type: "volatile" }))
    await ada.surely({ to, type: "two" })
    expect(await bob.client.expect("one")).toMatchObject({ seq: 1, from: ada.client.identity })
    expect(await bob.client.expect("volatile")).not.toHaveProperty("seq")
    expect(await bob.client.expect("two")).toMatchObject({ seq: 2 })
    const came = await receipt(ada.client, 2)
    expect(came).toMatchObject({ from: HUB, pattern: "tell", correlationId: null, payload: { through: 2 } })
    expect(came).not.toHaveProperty("seq")
  })

  test("a repeat is dropped, whatever is in it", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const to = bob.client.identity
    await ada.surely({ to, type: "one" })
    await ada.client.send(envelope({ to, type: "another one", seq: 1 }))
    await ada.surely({ to, type: "two" })
    expect(await sequenced(bob.client, 2)).toEqual([
      ["one", 1],
      ["two", 2],
    ])
  })

  test("a gap closes 4412, and the client goes on from where it was", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const to = bob.client.identity
    await ada.surely({ to, type: "one" })
    await ada.client.send(envelope({ to, type: "three", seq: 3 }))
    expect((await ada.client.closed()).code).toBe(4412)
    const again = await begin(ada.client.identity, ada.resume(0))
    expect(again.session).toMatchObject({ resumed: true, inSeq: 1 })
    await again.surely({ to, type: "two" })
    expect(await sequenced(bob.client, 2)).toEqual([
      ["one", 1],
      ["two", 2],
    ])
  })

  test("an envelope that is refused consumes its number, and is told as surely as it was sent", async () => {
    const ada = await begin(address("ada"))
    const unknown = await ada.surely({ to: address("nobody"), type: "x", pattern: "ask" })
    const malformed = await ada.surely({ to: "nowhere", type: "x" })
    expect(await ada.client.answerTo(malformed, "a malformed one")).toMatchObject({
      type: "hub:error",
      seq: expect.any(Number),
    })
    expect(await ada.client.answerTo(unknown, "an ask to nobody")).toMatchObject({
      type: "hub:unknown_actor",
      seq: expect.any(Number),
    })
    const expired = await ada.surely({ to: ada.client.identity, type: "x", ttl: 0 })
    expect(await ada.client.answerTo(expired, "a tell without time")).toMatchObject({
      payload: { code: "message_expired" },
      seq: expect.any(Number),
    })
    await receipt(ada.client, 3)
  })

  test("an undecodable frame closes 4400 at once, as it may have held something", async () => {
    const ada = await begin(address("ada"))
    await ada.surely({ to: ada.client.identity, type: "one" })
    await ada.client.raw("{")
    expect((await ada.client.closed()).code).toBe(4400)
  })

  test("an acknowledgment of more than was sent is refused, and loses nothing", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    await ada.surely({ to: bob.client.identity, type: "one" })
    await bob.client.expect("one")
    const ack = envelope({ type: "hub:ack", payload: { through: 9, bytes: 0 } })
    expectError(await bob.client.request(ack), "invalid_message")
    bob.client.terminate()
    const again = await begin(bob.client.identity, bob.resume(0))
    expect(await sequenced(again.client, 1)).toEqual([["one", 1]])
  })
})

describe("resume", () => {
  test("gives back the session, with all that was not acknowledged, in order, before what is live", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const to = bob.client.identity
    await bob.client.ask("hub:register", { actorAddress: to })
    await bob.client.ask("hub:subscribe", { topic: topic("news") })
    for (const type of ["1", "2", "3"]) await ada.surely({ to, type })
    await bob.client.expect("3")
    bob.client.terminate()
    await ada.surely({ to, type: "4" })
    await receipt(ada.client, 4)
    const again = await begin(to, bob.resume(1))
    expect(again.client.sessionId).toBe(bob.client.sessionId)
    expect(again.session).toMatchObject({
      resumed: true,
      kept: { registrations: 1, subscriptions: 1, watches: 0 },
      outFirst: 2,
    })
    expect(again.session.epoch).toBeGreaterThan(bob.session.epoch)
    expect(again.session.resumeToken).not.toBe(bob.session.resumeToken)
    await ada.surely({ to, type: "5" })
    expect(await sequenced(again.client, 4)).toEqual([
      ["2", 2],
      ["3", 3],
      ["4", 4],
      ["5", 5],
    ])
  })

  test("fault 14: an ask in flight is answered after the drop, and only once", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const id = await ada.surely({ to: bob.client.identity, type: "question", pattern: "ask" })
    await bob.client.expect("question")
    ada.client.terminate()
    await bob.surely({ to: ada.client.identity, type: "answer", correlationId: id })
    await receipt(bob.client, 1)
    const again = await begin(ada.client.identity, ada.resume(0))
    expect(await again.client.answerTo(id, "the question")).toMatchObject({ type: "answer", seq: 1 })
    await acknowledge(again.client, 1)
    again.client.terminate()
    const once = await begin(ada.client.identity, again.resume(1))
    expect(once.session).toMatchObject({ resumed: true, outFirst: 2, outNext: 2 })
  })

  const tryToSteal = async (bob: Party): Promise<RawClient> => {
    const identity = bob.client.identity
    const thief = await hub.open({ named: identity, identity })
    const resume = { sessionId: bob.client.sessionId, resumeToken: "x".repeat(36), lastSeq: 0 }
    expectError(await thief.handshake({ identity, metadata: { resume } }), "forbidden")
    return thief
  }

  test("a forged token is refused, and touches nothing", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    ;(await tryToSteal(bob)).terminate()
    await ada.surely({ to: bob.client.identity, type: "one" })
    expect(await bob.client.expect("one")).toMatchObject({ seq: 1 })
  })

  test("who is refused may connect without it", async () => {
    const bob = await begin(address("bob"))
    const other = await tryToSteal(bob)
    expect((await other.handshake({ identity: bob.client.identity })).type).toBe("hub:connected")
    expect((await bob.client.closed()).code).toBe(4409)
  })

  test("fault 19: where there is none to resume, it says why", async () => {
    const ada = await begin(address("ada"))
    const future = await begin(ada.client.identity, ada.resume(7))
    expect(future.session).toMatchObject({ resumed: false, reason: "server_reset" })
    await future.surely({ to: ada.client.identity, type: "to myself" })
    await future.client.expect("to myself")
    await acknowledge(future.client, 1)
    await future.client.sync()
    const past = await begin(ada.client.identity, future.resume(0))
    expect(past.session).toMatchObject({ resumed: false, reason: "buffer_overflow" })
    await past.client.ask("hub:disconnect", {})
    const over = await begin(ada.client.identity, past.resume(0))
    expect(over.session).toMatchObject({
      resumed: false,
      reason: expect.stringMatching(/expired|unknown_session/),
    })
  })

  test("of two at once, one has the session, and the other is superseded", async () => {
    const ada = await begin(address("ada"))
    ada.client.terminate()
    const identity = ada.client.identity
    const clients = await Promise.all([1, 2].map(() => hub.open({ named: identity, identity })))
    const metadata = { sessionExpirySeconds: 60, ...ada.resume(0) }
    await Promise.all(
      clients.map((client) =>
        client.send(
          envelope({
            type: "hub:connect",
            pattern: "ask",
            metadata: { protocolVersion: "1.0.0", actorIdentity: identity, ...metadata },
          }),
        ),
      ),
    )
    const codes = await Promise.race(clients.map((client) => client.closed()))
    expect(codes.code).toBe(4409)
    expect(clients.filter(({ isOpen }) => isOpen)).toHaveLength(1)
  })

  test("does not take the identity back from another that has it, but by reclaim", async () => {
    const ada = await begin(address("ada"))
    const identity = ada.client.identity
    const winner = await begin(identity)
    expect((await ada.client.closed()).code).toBe(4409)
    const sleeper = await hub.open({ named: identity, identity })
    const connect = envelope({
      type: "hub:connect",
      pattern: "ask",
      metadata: { protocolVersion: "1.0.0", actorIdentity: identity, ...ada.resume(0) },
    })
    await sleeper.send(connect)
    expect(await sleeper.expect("hub:disconnect")).toMatchObject({
      payload: { reason: "duplicate_connection" },
    })
    expect((await sleeper.closed()).code).toBe(4409)
    await winner.client.sync()
    const back = await begin(identity, { ...ada.resume(0), reclaim: true })
    expect(back.session.resumed).toBe(false)
    expect((await winner.client.closed()).code).toBe(4409)
  })
})

describe("takeover by another process", () => {
  test("gets what the loser had not acknowledged, in order, before what is live", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const to = bob.client.identity
    for (const type of ["1", "2", "3"]) await ada.surely({ to, type })
    await bob.client.expect("3")
    await acknowledge(bob.client, 1)
    await bob.client.sync()
    const winner = await begin(to)
    expect((await bob.client.closed()).code).toBe(4409)
    await ada.surely({ to, type: "4" })
    expect(await sequenced(winner.client, 3)).toEqual([
      ["2", 1],
      ["3", 2],
      ["4", 3],
    ])
  })

  test("that starts clean gets nothing of it", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"))]
    const to = bob.client.identity
    await bob.client.ask("hub:subscribe", { topic: topic("news") })
    await ada.surely({ to, type: "1" })
    await bob.client.expect("1")
    const winner = await begin(to, { cleanStart: true })
    expect(winner.session).toMatchObject({
      resumed: false,
      kept: { subscriptions: 0 },
      outFirst: 1,
      outNext: 1,
    })
    await ada.surely({ to, type: "2" })
    expect(await sequenced(winner.client, 1)).toEqual([["2", 1]])
  })
})

describe("grace", () => {
  test("what is reliable waits for the client, what is volatile does not; then it is over", async () => {
    const [ada, bob] = [await begin(address("ada")), await begin(address("bob"), { sessionExpirySeconds: 2 })]
    const to = bob.client.identity
    await bob.client.ask("hub:register", { actorAddress: to })
    await ada.client.ask("hub:watch", { actorAddress: to })
    bob.client.terminate()
    const id = await ada.surely({ to, type: "question", pattern: "ask" })
    const terminated = await ada.client.expect("hub:terminated")
    expect(terminated).toMatchObject({ payload: { actorAddress: to }, seq: expect.any(Number) })
    expect(await ada.client.answerTo(id, "the question")).toMatchObject({
      type: "hub:error",
      payload: { code: "actor_terminated" },
    })
  })
})
