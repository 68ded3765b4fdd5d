/**
 * Hostile frames through real sockets, by seed (`FUZZ_SEED`, `FUZZ_CASES`): a typed error for each, no
 * harm to anybody else, nothing uncaught in the log. After each case a well-formed request on the same
 * socket must be answered: what came before its answer is the answer to the case.
 */
import { JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { afterAll, beforeAll, expect, test } from "vitest"
import { WebSocket } from "ws"
import { envelope, HUB, RawClient } from "../support/RawClient.ts"
import { troubles, useHub, UNHURRIED } from "../support/hub.ts"
import { address, unique } from "../support/names.ts"
import { asMsgPack, type Case, casesOf, LARGE, randomBySeed } from "./cases.ts"

const CASES = Number(process.env.FUZZ_CASES ?? 10_000)
const SEED = Number(process.env.FUZZ_SEED ?? 20_261_121)
/** Cases that are on their way at once on a socket. */
const WINDOW = 50

// Frames are judged here, as many as can be sent.
const hub = useHub({ limits: UNHURRIED })

/** What came back, of either codec. */
interface Answer {
  readonly type: string
  readonly from: string
  readonly correlationId: string | null
  readonly payload: unknown
}

class Attacker {
  readonly #socket: WebSocket
  readonly #codec: "json" | "msgpack"
  readonly #answers: Array<Answer> = []
  #changed = Promise.withResolvers<void>()

  private constructor(socket: WebSocket, codec: "json" | "msgpack") {
    this.#socket = socket
    this.#codec = codec
    socket.on("error", () => undefined)
    socket.on("close", (code) => this.#changed.reject(new Error(`the socket was closed ${code}`)))
    this.#changed.promise.catch(() => undefined)
    socket.on("message", (data: Buffer, isBinary) => {
      const values = isBinary ? MsgPackCodec.decode(data) : JsonCodec.decode(data.toString())
      this.#answers.push(...(values as ReadonlyArray<Answer>))
      this.#changed.resolve()
      this.#changed = Promise.withResolvers()
      this.#changed.promise.catch(() => undefined)
    })
  }

  static async open(codec: "json" | "msgpack", connected: boolean): Promise<Attacker> {
    const socket = new WebSocket(hub.url(), [`signal-hub.${codec}`], { perMessageDeflate: false })
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject))
    const attacker = new Attacker(socket, codec)
    if (connected) {
      const metadata = { protocolVersion: "0.1.0", actorIdentity: address("attacker") }
      await attacker.#until(attacker.#request("hub:connect", null, metadata))
    }
    return attacker
  }

  /** Sends the cases, each with a request behind it; gives what was answered to each. */
  async attack(cases: ReadonlyArray<Case>): Promise<ReadonlyArray<ReadonlyArray<Answer>>> {
    this.#answers.length = 0
    const markers = cases.map(({ frame }) => {
      this.#socket.send(frame)
      return this.#request("hub:heartbeat", { timestamp: 1 })
    })
    await this.#until(markers.at(-1)!)
    const answers = this.#answers.splice(0)
    return markers.map((marker) => {
      const at = answers.findIndex(({ correlationId }) => correlationId === marker)
      return answers.splice(0, at + 1).slice(0, -1)
    })
  }

  close(): void {
    this.#socket.terminate()
  }

  #request(type: string, payload: unknown, metadata: object = {}): string {
    const request = envelope({ type, payload, pattern: "ask", metadata })
    const { id, timestamp } = request as { id: string; timestamp: number }
    this.#socket.send(
      this.#codec === "json"
        ? JSON.stringify(request)
        : MsgPackCodec.encode([
            {
              ...request,
              id,
              timestamp,
              from: "",
              to: HUB,
              type,
              payload,
              pattern: "ask",
              metadata: { ...metadata },
              correlationId: null,
              ttl: null,
              signature: null,
            },
          ]),
    )
    return id
  }

  async #until(marker: string): Promise<void> {
    while (!this.#answers.some(({ correlationId }) => correlationId === marker)) await this.#changed.promise
  }
}

const REFUSALS = new Set(["hub:error", "hub:message_too_large", "hub:unknown_actor", "hub:version_mismatch"])

/** Why the answers are not what the case deserves. */
const complaint = (sent: Case, answers: ReadonlyArray<Answer>): string | undefined => {
  const refusals = answers.filter(({ type, from }) => REFUSALS.has(type) && from === HUB)
  if (sent.expected === "error" && refusals.length === 0) return `${sent.name}: no error came back`
  for (const { payload } of refusals) {
    const said = JSON.stringify(payload)
    if (said.includes("internal_error")) return `${sent.name}: ${said}`
    if (/\.(js|ts):\d|^\s*at /m.test(said)) return `${sent.name}: a stack trace in ${said}`
  }
  return undefined
}

let asker: RawClient
let answerer: RawClient
let exchanged = 0
const ending = new AbortController()
let exchange: Promise<void>

beforeAll(async () => {
  // Not through `hub`, which closes its clients after each test: these live through all of them.
  asker = await RawClient.connect(hub.url(), { identity: address("innocent") })
  answerer = await RawClient.connect(hub.url(), { identity: address("innocent") })
  exchange = (async () => {
    while (!ending.signal.aborted) {
      const sent = envelope({ to: answerer.identity, type: "question", pattern: "ask", payload: exchanged })
      await asker.raw(JSON.stringify(sent))
      const question = await answerer.expect("question")
      const reply = { to: asker.identity, type: "answer", payload: question.payload, correlationId: sent.id }
      await answerer.raw(JSON.stringify(envelope(reply)))
      expect((await asker.expect("answer")).payload).toBe(exchanged)
      exchanged++
    }
  })()
  exchange.catch(() => undefined)
})

afterAll(() => {
  ending.abort()
  asker.terminate()
  answerer.terminate()
})

/** The next that are sent together. */
const some = (cases: Iterator<Case, void>): ReadonlyArray<Case> => {
  const window: Array<Case> = []
  while (window.length < WINDOW) {
    const { done, value } = cases.next()
    if (done === true) break
    window.push(value)
  }
  return window
}

const run = async (
  name: string,
  cases: Iterator<Case, void>,
  open: () => Promise<Attacker>,
): Promise<void> => {
  const complaints: Array<string> = []
  const attacker = await open()
  for (let i = 0, window = some(cases); window.length > 0; i += WINDOW, window = some(cases)) {
    const answers = await attacker.attack(window)
    window.forEach((sent, k) => {
      const wrong = complaint(sent, answers[k]!)
      if (wrong !== undefined) complaints.push(`${name}, case ${i + k}: ${wrong}`)
    })
  }
  attacker.close()
  expect(complaints).toEqual([])
}

/** Made as they are sent: to make all of them first would hold up the innocent pair, which is of this process. */
function* take(seed: number, count: number): Generator<Case, void> {
  const cases = casesOf(randomBySeed(seed))
  for (let n = 0; n < count; n++) yield cases.next().value as Case
}

test(`${CASES} frames of seed ${SEED}: each bad one has a typed error, and the session stays`, async () => {
  const share = Math.ceil(CASES / 8)
  const lanes = Array.from({ length: 8 }, (_, lane) => take(SEED + lane, share))
  await Promise.all(
    lanes.map((cases, lane) =>
      lane % 2 === 0
        ? run(`json ${lane}`, cases, () => Attacker.open("json", true))
        : run(`msgpack ${lane}`, cases.map(asMsgPack), () => Attacker.open("msgpack", true)),
    ),
  )
})

test("large frames: deep nesting and huge strings have a typed error each", async () => {
  await run("json", LARGE.values(), () => Attacker.open("json", true))
  const msgpack: Case = {
    name: "200,000 levels",
    frame: new Uint8Array(200_001).fill(0x91).with(200_000, 0xc0),
    expected: "error",
  }
  await run("msgpack", [msgpack].values(), () => Attacker.open("msgpack", true))
})

test("frames before hub:connect are all answered not_connected or their own error", async () => {
  const attacker = await Attacker.open("json", false)
  // Nothing may be taken, nor be silence: not even what is well-formed.
  const cases = [...take(SEED + 100, 200)].flatMap(({ frame, name }) =>
    name.startsWith("hub:connect") ? [] : [{ name, frame, expected: "error" } as const],
  )
  const answers = await attacker.attack(cases)
  expect(cases.flatMap((sent, i) => complaint(sent, answers[i]!) ?? [])).toEqual([])
  attacker.close()
})

test("ten undecodable frames in a row close 4400; a good one between them starts the count anew", async () => {
  const client = await hub.connect({ identity: address("striker") })
  for (let i = 0; i < 9; i++) await client.raw("garbage")
  await client.sync()
  for (let i = 0; i < 10; i++) await client.raw("garbage")
  expect((await client.closed()).code).toBe(4400)
})

test("frames after the goodbye have no effect", async () => {
  const identity = address("leaver")
  const client = await hub.connect({ identity })
  const topic = unique("after")
  await client.raw(JSON.stringify(envelope({ type: "hub:disconnect", payload: {} })))
  await client.raw(JSON.stringify(envelope({ type: "hub:register", payload: { actorAddress: identity } })))
  await client.raw(JSON.stringify(envelope({ type: "hub:subscribe", payload: { topic } })))
  expect((await client.closed()).code).toBe(1000)
  const witness = await hub.connect()
  const { payload } = await witness.ask("hub:discover", { pattern: identity })
  expect(payload).toMatchObject({ actors: [] })
})

test("an innocent pair exchanged messages all the while, and lost none", async () => {
  ending.abort()
  await exchange
  expect(exchanged).toBeGreaterThan(10)
})

test("nothing uncaught, and no internal error, is in the log", () => {
  expect(troubles(hub.server().harness)).toEqual([])
})
