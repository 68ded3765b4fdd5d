/**
 * What reliable messages cost: how fast they pass beside a hand-written relay that loses what it loses, what a
 * resume and a takeover with messages that wait take beside sending as many to a live reader, how many rows a
 * message writes, and what volatile messages pay for an object that stores reliable ones.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { Address } from "@signal-hub/actor-core"
import { connect, type Hub, type OpenSocket } from "@signal-hub/cloudflare-transport/client"
import * as Schedule from "effect/Schedule"
import { inTurn, type Measure, type Options, type Outcome, type Row, type Suite } from "../Suite.ts"
import type { Peer, Subject } from "../Subject.ts"
import { makePayload, TYPE } from "../lib/envelope.ts"
import { hold, type Load, measureLoad, probe, SLICE, warmUp } from "../lib/load.ts"
import { relayLoad } from "../lib/relayLoad.ts"
import { median, quantile } from "../lib/statistics.ts"
import { startCountingHub, startHub } from "../subjects/hubServer.ts"
import { relay } from "../subjects/relay.ts"
import { connectPeer, signalHub, signalHubReliable, webSocket } from "../subjects/signalHub.ts"

const NAME = "reliable"
const SLICES = 4
/** Messages that wait for a resume or a takeover. */
const PENDING = 1_000
/** Messages that leave in one turn of their sender: as many as are ready together in a busy one. */
const BURST = 50

const throughput: Measure<Subject> = {
  name: "relay throughput",
  slices: SLICES,
  prepare: (subject) =>
    probe(async (stack) => {
      const server = stack.use(await subject.start())
      const a = stack.use(await server.connect("@(bench/a)"))
      const b = stack.use(await server.connect("@(bench/b)"))
      const load = relayLoad(a, b)
      await warmUp(load)
      return async () => {
        const { perSecond, serverCpu } = await measureLoad(server, load)
        return { reliable_relay_throughput: perSecond, reliable_relay_server_cpu: serverCpu }
      }
    }),
}

/** Reliable messages on their way beside volatile ones. */
const BESIDE = 16
/** Messages that are counted one by one. */
const ALONE = 5
/** Nobody listens there. */
const NOWHERE = "ws://127.0.0.1:1/"

/** How messages come to a reader: it is there, it comes back, or another comes in its place. */
interface Way {
  readonly name: "live" | "resume" | "takeover"
}

/** A client whose network can be taken away and given back. */
interface Reader {
  readonly hub: Hub
  /** Its socket goes without a word, and no other opens. */
  readonly lose: () => void
  /** From now on one opens. */
  readonly find: () => void
  /** Its socket goes, and none will open any more. */
  readonly end: () => Promise<void>
}

const connectReader = async (url: string, identity: Address.Address): Promise<Reader> => {
  let sockets: ReadonlyArray<ReturnType<OpenSocket>> = []
  let isLost = false
  const hub = await connect(url, {
    identity,
    codec: "msgpack",
    wakeups: [],
    schedule: Schedule.spaced("5 millis"),
    webSocket: (url, protocols) => {
      const socket = webSocket(isLost ? NOWHERE : url, protocols)
      sockets = [socket]
      return socket
    },
  })
  const lose = (): void => {
    isLost = true
    for (const socket of sockets) (socket as unknown as { readonly terminate: () => void }).terminate()
  }
  return {
    hub,
    lose,
    find: () => {
      isLost = false
    },
    end: () => {
      lose()
      return hub.close()
    },
  }
}

/** Milliseconds that 1,000 messages take to be there, from when they are sent or their reader comes. */
const delivery: Measure<Way> = {
  name: "1,000 messages",
  slices: 3 * SLICES,
  prepare: ({ name }) =>
    probe(async (stack) => {
      const server = stack.use(await startHub())
      const url = `ws://127.0.0.1:${server.port}/ws`
      const identity = "@(bench/reader)" as Address.Address
      const sender = await connect(url, { codec: "msgpack", webSocket, queueLimit: 2 * PENDING })
      stack.defer(() => sender.close())
      let reader = await connectReader(url, identity)
      stack.defer(() => reader.end())
      let [arrived, done]: [number, () => void] = [0, () => {}]
      const listen = (): void => {
        reader.hub.onMessage(() => {
          if (++arrived % PENDING === 0) done()
        })
      }
      listen()
      const all = (): Promise<void> => new Promise((resolve) => (done = resolve))
      const send = async (): Promise<void> => {
        for (let n = 1; n < PENDING; n++) {
          void sender.tell(identity, TYPE, makePayload(n), { reliable: true })
          if (n % BURST === 0) await sleep(0)
        }
        await sender.tell(identity, TYPE, makePayload(PENDING), { until: "acknowledged" })
      }
      const ways: { readonly [way in Way["name"]]: () => Promise<number> } = {
        live: async () => {
          const arriving = all()
          const start = performance.now()
          const sending = send()
          await arriving
          const time = performance.now() - start
          await sending
          return time
        },
        resume: async () => {
          reader.lose()
          await send()
          const arriving = all()
          const start = performance.now()
          reader.find()
          await arriving
          return performance.now() - start
        },
        takeover: async () => {
          reader.lose()
          await send()
          const arriving = all()
          const old = reader
          const start = performance.now()
          reader = await connectReader(url, identity)
          listen()
          await arriving
          const time = performance.now() - start
          await old.end()
          return time
        },
      }
      for (let n = 0; n < 5; n++) await ways[name]()
      return async () => ({ time: await ways[name]() })
    }),
}

const WAYS = [
  { name: "live" },
  { name: "resume" },
  { name: "takeover" },
] as const satisfies ReadonlyArray<Way>

/** Who shares the object with a pair that sends volatile messages. */
interface Company {
  readonly name: "alone" | "beside"
}

const company: Measure<Company> = {
  name: "volatile messages",
  slices: SLICES,
  prepare: ({ name }) =>
    probe(async (stack) => {
      const server = stack.use(await startHub())
      const url = `ws://127.0.0.1:${server.port}/ws`
      const [a, b] = [
        stack.use(await connectPeer(url, "@(bench/a)", false)),
        stack.use(await connectPeer(url, "@(bench/b)", false)),
      ]
      const [c, d] = [
        stack.use(await connectPeer(url, "@(bench/c)", true)),
        stack.use(await connectPeer(url, "@(bench/d)", true)),
      ]
      const others = relayLoad(c, d, BESIDE)
      let [times, running, sentAt]: [Array<number>, boolean, number] = [[], false, 0]
      b.onMessage((payload) => b.send(a.address, payload))
      const send = () => {
        sentAt = performance.now()
        a.send(b.address, makePayload(times.length))
      }
      a.onMessage(() => {
        times.push(performance.now() - sentAt)
        if (running) setImmediate(send)
      })
      const load: Load = {
        start: () => {
          running = true
          send()
        },
        stop: () => {
          running = false
        },
        arrived: () => times.length,
      }
      await warmUp(load)
      if (name === "beside") others.start()
      stack.defer(() => hold(others))
      return async () => {
        times = []
        load.start()
        await sleep(SLICE)
        const measured = times
        await hold(load)
        return {
          round_trip_p50: quantile(measured, 0.5) * 1_000,
          round_trip_p99: quantile(measured, 0.99) * 1_000,
        }
      }
    }),
}

/** Figures of our own hub alone, each way beside the first. */
const measureWays = async <W extends { readonly name: string }>(
  ways: readonly [W, ...Array<W>],
  measure: Measure<W>,
  units: Readonly<Record<string, string>>,
  metricOf: (metric: string, way: string) => string,
  subject: string,
  options: Options,
): Promise<Outcome> => {
  const suite = { name: NAME, baseline: ways[0].name, units }
  const { rows, failures } = await inTurn(suite, ways, [measure], { ...options, only: [] })
  const named: Array<Row> = []
  for (const row of rows) named.push({ ...row, metric: metricOf(row.metric, row.subject), subject })
  return { rows: named, failures }
}

/** Rows that a message writes: in a quiet hub, and where many are on their way. */
const measureRows = async (): Promise<Outcome> => {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await startCountingHub())
  const url = `ws://127.0.0.1:${server.port}/ws`
  const a = stack.use(await connectPeer(url, "@(bench/a)", true))
  const b = stack.use(await connectPeer(url, "@(bench/b)", true))
  const perMessage = async (load: Load): Promise<number> => {
    const [rows, count] = [await server.rows(), load.arrived()]
    load.start()
    await sleep(SLICE)
    await hold(load)
    // The last receipts are stored a moment later.
    await sleep(SLICE)
    return ((await server.rows()) - rows) / (load.arrived() - count)
  }
  const alone: Array<number> = []
  for (let n = 0; n < ALONE; n++) alone.push(await perMessage(onlyOne(a, b)))
  const many = await perMessage(relayLoad(a, b))
  const row = { suite: NAME, subject: signalHubReliable.name, unit: "rows", baseline: null, ratio: null }
  return {
    rows: [
      { ...row, metric: "rows_per_message_alone", value: median(alone) },
      { ...row, metric: "rows_per_message", value: many },
    ],
    failures: [],
  }
}

/** One message, not followed by another. */
const onlyOne = (from: Peer, to: Peer): Load => {
  let arrived = 0
  to.onMessage(() => arrived++)
  return { start: () => from.send(to.address, makePayload(0)), stop: () => {}, arrived: () => arrived }
}

export const reliable: Suite = {
  name: NAME,
  baseline: relay.name,
  run: async (options) => {
    const units = { reliable_relay_throughput: "messages/s", reliable_relay_server_cpu: "µs/message" }
    const suite = { name: NAME, baseline: relay.name, units }
    const tripUnits = { round_trip_p50: "µs", round_trip_p99: "µs" }
    const outcomes = [
      await inTurn(suite, [relay, signalHub, signalHubReliable], [throughput], options),
      await measureWays(
        WAYS,
        delivery,
        { time: "ms" },
        (_, way) => `${way}_${PENDING}`,
        signalHubReliable.name,
        options,
      ),
      await measureWays(
        [{ name: "alone" }, { name: "beside" }],
        company,
        tripUnits,
        (metric, way) => `volatile_${metric}_${way}`,
        signalHub.name,
        options,
      ),
      await measureRows(),
    ]
    return {
      rows: outcomes.flatMap(({ rows }) => rows),
      failures: outcomes.flatMap(({ failures }) => failures),
    }
  },
}
