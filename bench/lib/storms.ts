/**
 * What one client can do to a hub that means it no good: each storm goes on at full speed until it is told
 * to stop, connecting anew whenever it is put out. It knows the wire and nothing else.
 */
import { randomBytes } from "node:crypto"
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises"
import { WebSocket } from "ws"

const HUB = "@(cloudflare/signal-hub)"
/** Bytes in a socket's buffer above which a storm waits for the network, so that it floods that, not itself. */
const BUFFERED = 262_144

/** Counts what a storm has done so far: connections and frames. */
export interface Tally {
  connections: number
  frames: number
}

/** A storm against the hub at `url`, until the signal aborts it. */
export type Storm = (url: string, signal: AbortSignal, tally: Tally) => Promise<void>

let made = 0
const envelope = (type: string, payload: unknown = null, more: object = {}): object => ({
  id: `s${made++}`,
  to: HUB,
  type,
  payload,
  pattern: "ask",
  timestamp: Date.now(),
  ...more,
})
const frame = (...args: Parameters<typeof envelope>): string => JSON.stringify(envelope(...args))
const address = (word: string): string => `@(storm/${word}-${made++})`
const hello = (actorIdentity = address("client"), protocolVersion = "1.0.0"): string =>
  frame("hub:connect", null, {
    metadata: { protocolVersion, actorIdentity, sessionExpirySeconds: 0 },
  })

type Frame = string | Uint8Array

/** A socket that is open, or `undefined` where it was refused. What it receives is not looked at. */
const open = (
  url: string,
  tally: Tally,
  protocols: ReadonlyArray<string> = [],
): Promise<WebSocket | undefined> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url, [...protocols], { perMessageDeflate: false })
    socket.on("error", () => resolve(undefined))
    socket.on("close", () => resolve(undefined))
    socket.on("open", () => {
      tally.connections++
      resolve(socket)
    })
  })

const answered = (socket: WebSocket): Promise<void> =>
  new Promise((resolve) => {
    socket.once("message", () => resolve())
    socket.once("close", () => resolve())
  })

/** Sends so many frames a second, or as many as the network takes, until the socket closes. */
const flood = async (
  socket: WebSocket,
  signal: AbortSignal,
  tally: Tally,
  next: () => Frame,
  perSecond: number,
): Promise<void> => {
  const start = performance.now()
  const due = (): number => ((performance.now() - start) * perSecond) / 1_000
  for (let sent = 0; !signal.aborted && socket.readyState === WebSocket.OPEN;) {
    for (let n = 0; n < 50 && socket.bufferedAmount < BUFFERED && sent <= due(); n++) {
      socket.send(next())
      sent++
      tally.frames++
    }
    await nextTurn()
  }
  socket.terminate()
}

/** As many of these at a time, each begun anew when it ends. */
const lanes = async (count: number, signal: AbortSignal, lane: () => Promise<void>): Promise<void> => {
  const repeat = async (): Promise<void> => {
    while (!signal.aborted) {
      await lane()
      await nextTurn()
    }
  }
  await Promise.all(Array.from({ length: count }, repeat))
}

/** A connected client that says some things first, then floods; again, as the same, when it is put out. */
const flooder = (
  next: () => Frame,
  {
    first = [],
    perSecond = Number.POSITIVE_INFINITY,
    isPacked = false,
  }: { readonly first?: ReadonlyArray<Frame>; readonly perSecond?: number; readonly isPacked?: boolean } = {},
): Storm => {
  const identity = address("client")
  return (url, signal, tally) =>
    lanes(1, signal, async () => {
      const socket = await open(url, tally, isPacked ? ["signal-hub.msgpack"] : [])
      if (socket === undefined) return
      socket.send(isPacked ? packedHello(identity) : hello(identity))
      await answered(socket)
      for (const one of first) socket.send(one)
      await flood(socket, signal, tally, next, perSecond)
    })
}

const registrations = (count: number): ReadonlyArray<Frame> => [
  JSON.stringify(
    Array.from({ length: count }, () => envelope("hub:register", { actorAddress: address("many") })),
  ),
]

const connecting =
  (count: number, identity?: string): Storm =>
  (url, signal, tally) =>
    lanes(count, signal, async () => {
      const socket = await open(url, tally)
      if (socket === undefined) return
      socket.send(hello(identity))
      tally.frames++
      await answered(socket)
      if (identity === undefined) socket.terminate()
      else await Promise.race([new Promise((closed) => socket.once("close", closed)), nextTurn()])
    })

const text = "x".repeat(10_000)

interface Unread {
  /** The protocol that the reader speaks. */
  readonly version: string
  /** Bytes of each message that is sent to it, and how many send. */
  readonly bytes: number
  readonly senders: number
  /** How often the reader acknowledges what it has not read, in milliseconds. */
  readonly liesEvery?: number
}

/**
 * A reader that takes nothing off its socket, and some who send to it and publish to it. It comes back when it is
 * put out.
 */
const unread =
  ({ bytes, liesEvery, senders, version }: Unread): Storm =>
  async (url, signal, tally) => {
    const identity = address("reader")
    const data = "x".repeat(bytes)
    const read = async (): Promise<void> => {
      const reader = await open(url, tally)
      if (reader === undefined) return
      reader.send(hello(identity, version))
      await answered(reader)
      reader.send(frame("hub:subscribe", { topic: "storm" }))
      await answered(reader)
      let claimed = 0
      const lie = (): void => {
        const payload = { through: 0, bytes: (claimed += bytes) }
        reader.send(frame("hub:ack", payload, { pattern: "tell" }))
      }
      const lies = liesEvery === undefined ? undefined : setInterval(lie, liesEvery)
      reader.pause()
      // The close of a socket that is not read is not seen: it is ended and opened anew now and then.
      const over = new Promise((ended) => signal.addEventListener("abort", ended, { once: true }))
      await Promise.race([over, delay(10_000)])
      clearInterval(lies)
      reader.terminate()
    }
    let n = 0
    const next = (): string =>
      n++ % 2 === 0
        ? frame("note", data, { to: identity, pattern: "tell" })
        : frame("hub:publish", { topic: "storm", type: "item", data })
    const sending = Array.from({ length: senders }, () => flooder(next)(url, signal, tally))
    await Promise.all([lanes(1, signal, read), ...sending])
  }

/** Sockets that open and say nothing; each is opened anew when it is closed. */
const slowLoris: Storm = async (url, signal, tally) => {
  const sockets = new Set<WebSocket>()
  const closing = (): void => sockets.forEach((socket) => socket.terminate())
  signal.addEventListener("abort", closing)
  await lanes(300, signal, async () => {
    const socket = await open(url, tally)
    if (socket === undefined) return
    sockets.add(socket)
    if (signal.aborted) socket.terminate()
    await new Promise((closed) => socket.once("close", closed))
    sockets.delete(socket)
  })
}

/** How many leave at once, and how many of them connect at a time: more would be turned away. */
const CROWD = 1_000
const CONNECTING = 200

/** A crowd that comes, and then leaves at once: half with a farewell, half without a word. */
const farewells: Storm = (url, signal, tally) =>
  lanes(1, signal, async () => {
    const crowd: Array<WebSocket> = []
    while (crowd.length < CROWD && !signal.aborted) {
      const opened = await Promise.all(Array.from({ length: CONNECTING }, () => open(url, tally)))
      const connecting = opened.flatMap((socket) => socket ?? [])
      for (const socket of connecting) socket.send(hello())
      await Promise.all(connecting.map(answered))
      crowd.push(...connecting)
    }
    const gone = crowd.map((socket) => new Promise((closed) => socket.once("close", closed)))
    for (const [n, socket] of crowd.entries()) {
      if (n % 2 === 1 || signal.aborted) socket.terminate()
      else socket.send(frame("hub:disconnect", {}))
      tally.frames++
    }
    await Promise.all(gone)
  })

const nested = (levels: number): string =>
  frame("note", null, { to: "@(storm/nobody)" }).replace(
    '"payload":null',
    `"payload":${"[".repeat(levels)}${"]".repeat(levels)}`,
  )
const hostileFrames = (): (() => Frame) => {
  const frames = [
    "x".repeat(1_100_000),
    nested(200),
    nested(100_000),
    nested(520_000),
    `[${"0,".repeat(500_000)}0]`,
  ]
  let n = 0
  // A good one between two bad ones, or ten bad ones in a row would end it.
  return () => (n++ % 2 === 0 ? frame("hub:heartbeat", { timestamp: 1 }) : frames[(n >> 1) % frames.length]!)
}

const joiner = (): (() => Frame) => {
  let n = 0
  return () => {
    const at = n++
    if (at % 5 === 4) return frame("hub:presence", { topic: "storm/presence" })
    return frame(at % 2 === 0 ? "hub:subscribe" : "hub:unsubscribe", {
      topic: "storm/presence",
      ...(at % 2 === 0 && { presence: true }),
    })
  }
}

const always =
  (next: Frame): (() => Frame) =>
  () =>
    next

/** As many small objects as a frame of 1 MiB has room for. */
const smallObjects = (): (() => Frame) => {
  const tell = frame("note", null, { to: "@(storm/nobody)", pattern: "tell" })
  return always(tell.replace('"payload":null', `"payload":[${'{"a":{}},'.repeat(115_000)}0]`))
}

/** A text in msgpack, of less than 256 bytes. */
const packedText = (text: string): Uint8Array => Buffer.from([0xd9, text.length, ...Buffer.from(text)])
const packedFields = (...fields: ReadonlyArray<number | string | Uint8Array>): Uint8Array =>
  Buffer.concat(
    fields.map((field) => {
      if (typeof field === "string") return packedText(field)
      return typeof field === "number" ? Buffer.from([field]) : field
    }),
  )
const NIL = 0xc0

/** A batch of one envelope of nine fields, of which the last is a map of three. */
const packedHello = (identity: string): Uint8Array =>
  Buffer.concat([
    packedFields(0x91, 0x99, `s${made++}`, NIL, HUB, "hub:connect", 1, 1, NIL, NIL, 0x83),
    packedFields("protocolVersion", "1.0.0", "actorIdentity", identity, "sessionExpirySeconds", 0),
  ])

/** A tell in msgpack whose payload is an array of so many times these bytes. */
const packedMany = (count: number, ...value: ReadonlyArray<number>): Uint8Array => {
  const array = Buffer.from([0xdd, 0, 0, 0, 0])
  array.writeUInt32BE(count, 1)
  const values = Buffer.alloc(count * value.length, Uint8Array.from(value))
  return packedFields(0x91, 0x97, `s${made++}`, NIL, "@(storm/nobody)", "note", 0, 1, array, values)
}

/** Many registrations, by clients that stay, and one that looks through them. */
const lookingThrough: Storm = async (url, signal, tally) => {
  const holders = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const socket = await open(url, tally)
      socket?.send(hello())
      if (socket !== undefined) await answered(socket)
      for (const one of registrations(375)) socket?.send(one)
      return socket
    }),
  )
  const next = (): string => frame("hub:discover", { pattern: "@(storm/*none)" })
  await flooder(next, { perSecond: 190 })(url, signal, tally)
  for (const socket of holders) socket?.terminate()
}

const STARS = [
  "@(storm/*a*a*a*a*a*a*a*a*a*a*a*a*b)",
  `@(${"*/".repeat(100)}**)`,
  `@(storm/${"*".repeat(200)}z)`,
]

export const STORMS: { readonly [name: string]: Storm } = {
  connects: connecting(32),
  takeovers: connecting(8, "@(storm/wanted)"),
  asks: flooder(() => frame("question", text.slice(0, 100), { to: "@(storm/silent)" }), {
    first: [frame("hub:register", { actorAddress: "@(storm/silent)" })],
  }),
  subscriptions: flooder(() =>
    frame("hub:subscribe", { topic: `storm/${made}`, durable: true, presence: true }),
  ),
  "slow-loris": slowLoris,
  "never-reads": unread({ version: "1.0.0", bytes: 10_000, senders: 1 }),
  "lying-reader": unread({ version: "1.0.0", bytes: 100_000, senders: 3, liesEvery: 20 }),
  "old-reader": unread({ version: "0.1.0", bytes: 100_000, senders: 3 }),
  "full-speed": flooder(() => frame("note", 1, { to: "@(storm/nobody)", pattern: "tell" })),
  stars: flooder(() => frame("hub:discover", { pattern: STARS[made % STARS.length] }), {
    first: registrations(300),
  }),
  "large-frames": flooder(hostileFrames()),
  "random-bytes": flooder(() => {
    const bytes = randomBytes(1 + (made++ % 2_000))
    return made % 2 === 0 ? bytes : bytes.toString("latin1")
  }),
  discovery: flooder(
    () => (made % 2 === 0 ? frame("hub:discover", { pattern: "*" }) : frame("hub:list_actors", {})),
    { first: registrations(300) },
  ),
  presence: flooder(joiner()),
  "rows-looked-at": lookingThrough,
  "small-objects": flooder(smallObjects(), { perSecond: 44 }),
  "empty-byte-strings": flooder(always(packedMany(510_000, 0xc4, 0)), { isPacked: true }),
  "one-byte-values": flooder(always(packedMany(49_900, 1)), { isPacked: true, perSecond: 84 }),
  farewells,
}
