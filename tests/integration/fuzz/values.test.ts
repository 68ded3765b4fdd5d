/**
 * Well-formed frames with hostile values in them, by seed (`FUZZ_SEED`, a tenth of `FUZZ_CASES`): in payloads,
 * metadata, registrations and client metadata; volatile, reliable, published and stored. Whatever is delivered is
 * equal to what was sent, nobody is closed, and an innocent pair loses nothing.
 */
import { isDeepStrictEqual } from "node:util"
import { expect, test } from "vitest"
import { troubles, useHub, UNHURRIED } from "../support/hub.ts"
import { address } from "../support/names.ts"
import { hostileValues, randomBySeed } from "./cases.ts"
import { type Came, Speaker } from "./Speaker.ts"

const CASES = Math.ceil(Number(process.env.FUZZ_CASES ?? 10_000) / 10)
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_121)
const LANES = 4
/** Frames that are on their way at once in a lane. */
const WINDOW = 50

const hub = useHub({ limits: UNHURRIED })

const CODECS = ["json", "msgpack"] as const

/** One lane: a sender, a reader, and somebody who is away now and then. */
const lane = async (n: number, count: number): Promise<void> => {
  const random = randomBySeed(SEED + n)
  const hostile = hostileValues(random)
  const below = (limit: number): number => Math.floor(random() * limit)
  const pick = <A>(from: ReadonlyArray<A>): A => from[below(from.length)]!
  const topic = `fuzz-${n}`
  /** What was sent, by its mark, and how often it must come. */
  const sent = new Map<number, { readonly value: unknown; missing: number }>()
  const wrong: Array<string> = []
  const came = ({ payload, type }: Came): void => {
    if (type === "hub:error") wrong.push(`an error: ${JSON.stringify(payload)}`)
    if (type !== "marked") return
    const expected = sent.get(payload.mark)
    if (expected === undefined) return void wrong.push(`${payload.mark} came too often`)
    if (!isDeepStrictEqual(payload.value, expected.value)) {
      wrong.push(`${JSON.stringify(expected.value)} came as ${JSON.stringify(payload.value)}`)
    }
    if (--expected.missing === 0) sent.delete(payload.mark)
  }
  const open = (identity: string, kept?: Speaker["kept"]) =>
    Speaker.open(hub.url(), pick(CODECS), identity, { clientMetadata: hostile() }, came, kept)
  const sender = await open(address("sender"))
  const reader = await open(address("reader"))
  let sleeper = await open(address("sleeper"))
  let isAway = false
  await reader.ask("hub:subscribe", { topic, presence: true })
  await sleeper.ask("hub:subscribe", { topic, presence: true })
  /** Conversations under way. */
  const pending: Array<Promise<void>> = []
  const registerAndFind = async (payload: { readonly actorAddress: string; readonly metadata: unknown }) => {
    const registered = await sender.ask("hub:register", payload)
    if (registered.type !== "hub:registered") {
      return void wrong.push(`not registered: ${JSON.stringify(registered.payload)}`)
    }
    const { actorAddress, metadata } = payload
    const found = await reader.ask("hub:discover", { pattern: actorAddress })
    const [entry] = found.payload.actors ?? []
    if (!isDeepStrictEqual(entry?.metadata, metadata)) {
      wrong.push(`metadata ${JSON.stringify(metadata)} came as ${JSON.stringify(found.payload)}`)
    }
    await sender.ask("hub:unregister", { actorAddress })
  }
  const presence = async (): Promise<void> => {
    const { type } = await reader.ask("hub:presence", { topic })
    if (type !== "hub:presence_state") wrong.push(`no presence: ${type}`)
  }
  let mark = 0
  const marked = (receivers: number): { readonly mark: number; readonly value: unknown } => {
    const value = hostile()
    sent.set(++mark, { value, missing: receivers })
    return { mark, value }
  }
  const readers = (): number => (isAway ? 1 : 2)
  const kinds: ReadonlyArray<() => unknown> = [
    () =>
      void sender.send({ to: reader.kept.identity, type: "marked", payload: marked(1), metadata: hostile() }),
    () =>
      void sender.send(
        { to: reader.kept.identity, type: "marked", payload: marked(1), metadata: hostile() },
        true,
      ),
    () =>
      void sender.send(
        { to: sleeper.kept.identity, type: "marked", payload: marked(1), metadata: hostile() },
        true,
      ),
    () => {
      const payload = { to: reader.kept.identity, type: "marked", data: marked(1) }
      sender.send({ type: "hub:send", payload, metadata: hostile() }, random() < 0.5)
    },
    () => {
      const payload = { topic, type: "marked", data: marked(readers()) }
      sender.send({ type: "hub:publish", payload, metadata: hostile() })
    },
    () => {
      const payload = { actorAddress: address("held"), metadata: hostile(), ttlSeconds: 10 }
      pending.push(registerAndFind(payload))
    },
    () => pending.push(presence()),
  ]
  for (let i = 0; i < count; i += WINDOW) {
    for (let k = 0; k < WINDOW; k++) pick(kinds)()
    await Promise.all(pending.splice(0))
    await sender.settle()
    await reader.settle()
    if (!isAway) await sleeper.settle()
    if (random() < 0.3 && !isAway) {
      sleeper.leave()
      isAway = true
      // A volatile copy to it is lost, like all that is volatile.
      await reader.ask("hub:heartbeat", { timestamp: 1 })
    } else if (isAway) {
      sleeper = await open(sleeper.kept.identity, sleeper.kept)
      isAway = false
      await sleeper.settle()
    }
    if (wrong.length > 0) break
  }
  if (isAway) sleeper = await open(sleeper.kept.identity, sleeper.kept)
  for (let tries = 0; tries < 20 && sent.size > 0; tries++) {
    await Promise.all([sender, reader, sleeper].map((one) => one.settle()))
  }
  for (const one of [sender, reader, sleeper]) one.leave()
  expect(wrong).toEqual([])
  expect([...sent.values()].slice(0, 3)).toEqual([])
}

test(`fault 65: ${CASES} frames of seed ${SEED} with hostile keys arrive as they were sent, wherever they are put`, async () => {
  const share = Math.ceil(CASES / LANES)
  const innocent: Array<number> = []
  const open = (name: string, came: (came: Came) => void) =>
    Speaker.open(hub.url(), codecOf(name), address(name), {}, came)
  const bob = await open("bob", ({ payload, type }) => void (type === "innocent" && innocent.push(payload)))
  const ada = await open("ada", () => undefined)
  const ending = new AbortController()
  const exchange = (async () => {
    let count = 0
    while (!ending.signal.aborted) {
      ada.send({ to: bob.kept.identity, type: "innocent", payload: ++count }, true)
      await ada.settle()
      await bob.settle()
    }
    return count
  })()
  await Promise.all(Array.from({ length: LANES }, (_, n) => lane(n, share))).finally(() => ending.abort())
  const count = await exchange
  expect(innocent).toEqual(Array.from({ length: count }, (_, n) => n + 1))
  expect(count).toBeGreaterThan(10)
  for (const one of [ada, bob]) one.leave()
  expect(troubles(hub.server().harness)).toEqual([])
})

const codecOf = (name: string): "json" | "msgpack" => (name === "ada" ? "json" : "msgpack")
