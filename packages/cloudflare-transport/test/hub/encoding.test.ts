/** Encoders that throw: what can't be encoded is its sender's failure, and nobody else's. */
import { type Codec, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { afterEach, describe, expect, it, vi } from "vitest"
import type { TestClient, Received } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"
import { TestSystem } from "../support/TestSystem.ts"
import { haveCodecsThrow, randomBySeed } from "../support/ThrowingCodecs.ts"

afterEach(() => void vi.restoreAllMocks())

const V1 = { protocolVersion: "1.0.0", sessionExpirySeconds: 60 }
const V0 = { protocolVersion: "0.1.0", sessionExpirySeconds: 60 }

/** A hub, or gateways: who connects to it does so at its own. */
interface Place {
  readonly hubOf: (identity: string) => TestHub
  readonly hubs: () => ReadonlyArray<TestHub>
  readonly settle: () => void
}

const aHub = (): Place => {
  const hub = new TestHub({ heartbeatInterval: 1e9 })
  return { hubOf: () => hub, hubs: () => [hub], settle: () => hub.advance(300) }
}

const gateways = (): Place => {
  const system = new TestSystem({ heartbeatInterval: 1e9 })
  return {
    hubOf: (identity) => system.gateway(identity),
    hubs: () => [...system.gateways.values()].map(({ hub }) => hub),
    settle: () => system.advance(300),
  }
}

const enter = (
  place: Place,
  identity: string,
  codec: Codec = JsonCodec,
  metadata: { readonly [key: string]: unknown } = V1,
): TestClient => {
  const client = place.hubOf(identity).open(null, codec)
  client.connect(identity, metadata)
  place.settle()
  return client
}

const places = [
  ["a hub", aHub],
  ["gateways", gateways],
] as const

const isBad = ({ type }: { readonly type: string }): boolean => type === "bad"
const errorsIn = (place: Place): number =>
  place.hubs().reduce((sum, { core }) => sum + core.state.metrics.errors, 0)
const logged = (place: Place): ReadonlyArray<unknown> =>
  place.hubs().flatMap((hub) => hub.logged("encode_failed").map(({ messageId }) => messageId))
const told = (id: string) => ({ type: "hub:error", correlationId: id, payload: { code: "invalid_message" } })

describe.each(places)("an envelope that can't be encoded, on %s", (_, make) => {
  it.each([
    ["volatile", false],
    ["reliable", true],
  ])(
    "faults 65, 66: %s, is refused alone: what is beside it arrives, its sender hears of it",
    (_class, isReliable) => {
      const place = make()
      const sender = enter(place, "@(user/ada)")
      const receiver = enter(place, "@(user/bob)", MsgPackCodec)
      haveCodecsThrow(isBad)
      const batch = ["good", "bad", "fine"].map((type) => ({ id: `${type}-1`, to: "@(user/bob)", type }))
      const before = errorsIn(place)
      if (isReliable) sender.surelyAll(batch)
      else for (const fields of batch) sender.send(fields)
      place.settle()
      const came = receiver.take().filter(({ type }) => !type.startsWith("hub:"))
      expect(came.map(({ type }) => type)).toEqual(["good", "fine"])
      if (isReliable) expect(came.map(({ seq }) => seq)).toEqual([1, 2])
      expect(sender.takeOf("hub:error")).toMatchObject([told("bad-1")])
      expect(errorsIn(place)).toBe(before + 1)
      expect(logged(place)).toEqual(["bad-1"])
      expect([sender, receiver].map(({ socket }) => socket.close)).toEqual([undefined, undefined])
    },
  )

  it("fault 66: reliable, for somebody in grace, is refused alone, and the rest comes with the next connect", () => {
    const place = make()
    const sender = enter(place, "@(user/ada)")
    const receiver = enter(place, "@(user/bob)", MsgPackCodec)
    receiver.drop()
    place.settle()
    haveCodecsThrow(isBad)
    sender.surelyAll(["good", "bad", "fine"].map((type) => ({ id: `${type}-1`, to: "@(user/bob)", type })))
    place.settle()
    expect(sender.takeOf("hub:error")).toMatchObject([told("bad-1")])
    const again = place.hubOf("@(user/bob)").open(null, JsonCodec)
    expect(again.connect("@(user/bob)", { ...V1, resume: receiver.resume() }).payload).toMatchObject({
      session: { resumed: true },
    })
    expect(again.take().flatMap(({ type, seq }) => (type.startsWith("hub:") ? [] : [[type, seq]]))).toEqual([
      ["good", 1],
      ["fine", 2],
    ])
  })

  it("fault 66: that waited in an outbox, as only the other codec takes it, does not fail the next hub:connect", () => {
    const place = make()
    const sender = enter(place, "@(user/ada)")
    const receiver = enter(place, "@(user/bob)", MsgPackCodec)
    sender.surelyAll([{ id: "bad-0", to: "@(user/bob)", type: "bad" }])
    place.settle()
    receiver.drop()
    place.settle()
    sender.surelyAll(["good", "bad"].map((type) => ({ id: `${type}-1`, to: "@(user/bob)", type })))
    place.settle()
    sender.take()
    // Both were taken: one had its number, the other waits for it.
    haveCodecsThrow(isBad, [JsonCodec])
    const again = place.hubOf("@(user/bob)").open(null, JsonCodec)
    again.connect("@(user/bob)", { ...V1, resume: receiver.resume() })
    place.settle()
    const came = again.take().filter(({ seq }) => seq !== undefined)
    // Something has the number of what is lost: without it the client would find a gap.
    expect(came.map(({ type, seq }) => [type, seq])).toEqual([
      ["hub:error", 1],
      ["good", 2],
    ])
    expect(sender.takeOf("hub:error")).toMatchObject([told("bad-0"), told("bad-1")])
    expect(again.socket.close).toBe(undefined)
  })

  it("fault 65: published, is its publisher's failure, and the next one reaches all six", () => {
    const place = make()
    const publisher = enter(place, "@(user/ada)")
    const subscribers = [0, 1, 2, 3, 4, 5].map((n) =>
      enter(place, `@(user/s${n})`, n % 2 === 0 ? JsonCodec : MsgPackCodec, n < 3 ? V1 : V0),
    )
    for (const one of subscribers)
      one.send({ type: "hub:subscribe", pattern: "ask", payload: { topic: "news" } })
    place.settle()
    for (const one of subscribers) one.take()
    const publish = (type: string): string =>
      publisher.send({ type: "hub:publish", pattern: "ask", payload: { topic: "news", type, data: 1 } })
    haveCodecsThrow(isBad, [MsgPackCodec])
    const bad = publish("bad")
    publish("good")
    place.settle()
    expect(publisher.takeOf("hub:error")).toMatchObject([told(bad)])
    expect(logged(place)).toEqual([bad])
    for (const one of subscribers) expect(one.take().map(({ type }) => type)).toEqual(["good"])
  })

  it("fault 66: that is an ask, or its answer, ends the ask typed", () => {
    const place = make()
    const asker = enter(place, "@(user/ada)")
    const actor = enter(place, "@(user/bob)", MsgPackCodec)
    haveCodecsThrow(isBad)
    const lost = asker.ask("@(user/bob)", "bad")
    const open = asker.ask("@(user/bob)", "question")
    place.settle()
    expect(asker.take().filter(({ correlationId }) => correlationId === lost)).toMatchObject([told(lost)])
    const [question] = actor.takeOf("question")
    const answer = actor.answer(question!, 1, { type: "bad" })
    place.settle()
    expect(asker.take().filter(({ correlationId }) => correlationId === open)).toMatchObject([
      { type: "hub:error", payload: { code: "internal_error" } },
    ])
    expect(actor.takeOf("hub:error")).toMatchObject([told(answer)])
    // The ids of both are free again.
    for (const id of [lost, open]) {
      asker.send({ id, to: "@(user/bob)", type: "question", pattern: "ask" })
      place.settle()
      expect(actor.takeOf("question")).toHaveLength(1)
    }
  })

  it("fault 65: that is an answer of the hub, is told to who asked, and all else is answered", () => {
    const place = make()
    const asker = enter(place, "@(user/ada)")
    haveCodecsThrow(({ type }) => type === "hub:discovered")
    const id = asker.send({ type: "hub:discover", pattern: "ask", payload: { pattern: "@(user/*)" } })
    place.settle()
    expect(asker.take()).toMatchObject([
      { type: "hub:error", correlationId: id, payload: { code: "internal_error" } },
    ])
    expect(asker.request("hub:metrics").type).toBe("hub:metrics_response")
  })
})

/** What one that sends hostile messages must know in the end of each. */
interface Fate {
  readonly id: string
  readonly sender: TestClient
  /** Who must have it, unless its sender was told. */
  readonly receivers: ReadonlyArray<string>
}

describe.each(places)("a watchdog of swallowed failures, on %s", (_, make) => {
  it.each(Array.from({ length: 25 }, (_, n) => n + 1))(
    "faults 65, 66: whatever an encoder throws on, only the sender notices, and does (seed %i)",
    (seed) => {
      const random = randomBySeed(seed)
      const below = (n: number): number => Math.floor(random() * n)
      const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
      const place = make()
      const names = ["ada", "bob", "cy", "dee", "eve", "fay"].map((name) => `@(user/${name})`)
      const codecs = names.map(() => pick([JsonCodec, MsgPackCodec]))
      const majors = names.map((_, n) => (n < 4 ? V1 : pick([V0, V1])))
      const clients = names.map((name, n) => enter(place, name, codecs[n], majors[n]))
      const came = new Map<string, Array<Received>>(names.map((name) => [name, []]))
      const innocent = enter(place, "@(user/innocent)")
      const friend = enter(place, "@(user/friend)", MsgPackCodec)
      for (const client of clients) {
        client.send({ type: "hub:subscribe", pattern: "ask", payload: { topic: "news" } })
      }
      place.settle()
      const look = (n: number): void => void came.get(names[n]!)!.push(...clients[n]!.take())
      const fates: Array<Fate> = []
      const exchanged: Array<number> = []
      let count = 0
      const hostile = (n: number): void => {
        const sender = clients[n]!
        const to = pick(names.filter((_, other) => other !== n))
        const id = `h${++count}`
        const marked = { mark: id }
        const how = below(7)
        const isReliable = majors[n] === V1 && majors[names.indexOf(to)] === V1
        if (how === 0) sender.send({ id, to, type: "hostile", payload: marked })
        else if (how === 1) sender.send({ id, to, type: "hostile", payload: marked, pattern: "ask" })
        else if (how === 2 && isReliable) sender.surelyAll([{ id, to, type: "hostile", payload: marked }])
        else if (how === 3 && isReliable) {
          sender.surelyAll([{ id, to, type: "hostile", payload: marked, pattern: "ask" }])
        } else if (how === 4) {
          const payload = { to, type: "hostile", data: marked }
          sender.send({ id, type: "hub:send", pattern: "ask", payload })
        } else if (how === 5) {
          const payload = { topic: "news", type: "hostile", data: marked }
          sender.send({ id, type: "hub:publish", pattern: "ask", payload })
          fates.push({ id, sender, receivers: names.filter((_, other) => majors[other] !== undefined) })
          return
        } else {
          const payload = { pattern: "@(user/*)" }
          sender.send({ id, type: "hub:discover", pattern: "ask", payload })
          fates.push({ id, sender, receivers: [] })
          return
        }
        fates.push({ id, sender, receivers: [to] })
      }
      // A publication leaves a gateway under an id of its own, by which its publisher is told.
      const idsOf = new Map<unknown, Set<string>>()
      haveCodecsThrow(({ id, payload, type }) => {
        if ((type !== "hostile" && type !== "hub:discovered") || random() >= 0.3) return false
        const { mark } = payload as { readonly mark?: unknown }
        idsOf.set(mark, (idsOf.get(mark) ?? new Set()).add(id))
        return true
      })
      for (let step = 0; step < 60; step++) {
        const n = below(names.length)
        if (random() < 0.1 && majors[n] === V1) {
          look(n)
          const gone = clients[n]!
          gone.drop()
          place.settle()
          // Reliable messages come meanwhile, which another codec may have to take.
          const other = below(4)
          if (other !== n) {
            const id = `h${++count}`
            clients[other]!.surelyAll([{ id, to: names[n]!, type: "hostile", payload: { mark: id } }])
            fates.push({ id, sender: clients[other]!, receivers: [names[n]!] })
          }
          const next = place.hubOf(names[n]!).open(null, pick([JsonCodec, MsgPackCodec]))
          const answer = next.connect(names[n]!, { ...V1, resume: gone.resume() })
          expect(answer.payload).toMatchObject({ session: { resumed: true } })
          for (const [at, fate] of fates.entries()) {
            if (fate.sender === gone) fates[at] = { ...fate, sender: next }
          }
          clients[n] = next
        } else hostile(n)
        exchanged.push(step)
        innocent.surelyAll([{ id: `i${step}`, to: "@(user/friend)", type: "innocent", payload: step }])
        if (random() < 0.5) place.settle()
      }
      place.settle()
      for (const n of names.keys()) look(n)
      // Nobody's connection has ended, and nobody else has missed anything.
      for (const { socket } of [...clients, innocent, friend]) expect(socket.close).toBe(undefined)
      const friends = friend.take().filter(({ seq }) => seq !== undefined)
      expect(friends.map(({ payload }) => payload)).toEqual(exchanged)
      expect(friends.map(({ seq }) => seq)).toEqual(exchanged.map((n) => n + 1))
      expect(innocent.takeOf("hub:error")).toEqual([])
      // Of each message its sender knows what became of it.
      let failures = 0
      for (const { id, receivers, sender } of fates) {
        const heard = came.get(names[clients.indexOf(sender)]!)!
        const wasTold = heard.some(
          ({ correlationId, type }) =>
            type === "hub:error" &&
            (correlationId === id || idsOf.get(id)?.has(String(correlationId)) === true),
        )
        const missed = receivers.filter(
          (name) => !came.get(name)!.some(({ payload }) => payload?.mark === id),
        )
        if (wasTold) failures++
        expect(wasTold ? [] : missed, `${id} of ${sender.identity}`).toEqual([])
      }
      expect(failures).toBeGreaterThan(0)
      expect(errorsIn(place)).toBeGreaterThanOrEqual(failures)
      expect(logged(place).length).toBeGreaterThanOrEqual(failures)
      expect(place.hubs().flatMap((hub) => hub.logged("internal_error"))).toEqual([])
    },
  )
})
