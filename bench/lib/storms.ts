/**
 * What one client can do to a hub that means it no good: each storm goes on at full speed until it is told
 * to stop, connecting anew whenever it is put out. It knows the wire and nothing else.
 */
import { randomBytes } from "node:crypto"
import { setImmediate as nextTurn } from "node:timers/promises"
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
const hello = (actorIdentity = address("client")): string =>
  frame("hub:connect", null, {
    metadata: { protocolVersion: "1.0.0", actorIdentity, sessionExpirySeconds: 0 },
  })

type Frame = string | Uint8Array

/** A socket that is open, or `undefined` where it was refused. What it receives is not looked at. */
const open = (url: string, tally: Tally): Promise<WebSocket | undefined> =>
  new Promise((resolve) => {
    const socket = new WebSocket(url, { perMessageDeflate: false })
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

/** Sends frames one after another, as fast as the network takes them, until the socket closes. */
const flood = async (
  socket: WebSocket,
  signal: AbortSignal,
  tally: Tally,
  next: () => Frame,
): Promise<void> => {
  while (!signal.aborted && socket.readyState === WebSocket.OPEN) {
    for (let n = 0; n < 50 && socket.bufferedAmount < BUFFERED; n++) {
      socket.send(next())
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
const flooder = (next: () => Frame, first: ReadonlyArray<Frame> = []): Storm => {
  const identity = address("client")
  return (url, signal, tally) =>
    lanes(1, signal, async () => {
      const socket = await open(url, tally)
      if (socket === undefined) return
      socket.send(hello(identity))
      await answered(socket)
      for (const one of first) socket.send(one)
      await flood(socket, signal, tally, next)
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

/** A reader that takes nothing off its socket, and somebody who sends to it and publishes to it. */
const unread: Storm = async (url, signal, tally) => {
  const reader = await open(url, tally)
  if (reader === undefined) return
  const identity = address("reader")
  reader.send(hello(identity))
  await answered(reader)
  reader.send(frame("hub:subscribe", { topic: "storm" }))
  await answered(reader)
  reader.pause()
  let n = 0
  const next = (): string =>
    n++ % 2 === 0
      ? frame("note", text, { to: identity, pattern: "tell" })
      : frame("hub:publish", { topic: "storm", type: "item", data: text })
  await flooder(next)(url, signal, tally)
  reader.terminate()
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

const STARS = [
  "@(storm/*a*a*a*a*a*a*a*a*a*a*a*a*b)",
  `@(${"*/".repeat(100)}**)`,
  `@(storm/${"*".repeat(200)}z)`,
]

export const STORMS: { readonly [name: string]: Storm } = {
  connects: connecting(32),
  takeovers: connecting(8, "@(storm/wanted)"),
  asks: flooder(
    () => frame("question", text.slice(0, 100), { to: "@(storm/silent)" }),
    [frame("hub:register", { actorAddress: "@(storm/silent)" })],
  ),
  subscriptions: flooder(() =>
    frame("hub:subscribe", { topic: `storm/${made}`, durable: true, presence: true }),
  ),
  "slow-loris": slowLoris,
  "never-reads": unread,
  "full-speed": flooder(() => frame("note", 1, { to: "@(storm/nobody)", pattern: "tell" })),
  stars: flooder(() => frame("hub:discover", { pattern: STARS[made % STARS.length] }), registrations(300)),
  "large-frames": flooder(hostileFrames()),
  "random-bytes": flooder(() => {
    const bytes = randomBytes(1 + (made++ % 2_000))
    return made % 2 === 0 ? bytes : bytes.toString("latin1")
  }),
  discovery: flooder(
    () => (made % 2 === 0 ? frame("hub:discover", { pattern: "*" }) : frame("hub:list_actors", {})),
    registrations(300),
  ),
  presence: flooder(joiner()),
}
