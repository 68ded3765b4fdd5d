/**
 * The hub beside a hand-written relay object, partyserver and Socket.IO: how fast messages pass, how
 * long they take, what they weigh on the wire and what an idle session weighs in memory.
 *
 * Every measurement has a server process of its own and warms it up first, for as long as it takes
 * the just-in-time compilers on both sides to settle.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { inTurn, type Measure, type Suite } from "../Suite.ts"
import type { Peer, Server, Subject } from "../Subject.ts"
import { startCountingProxy } from "../lib/countingProxy.ts"
import { makePayload } from "../lib/envelope.ts"
import { quantile } from "../lib/statistics.ts"
import { processorTime, residentMemory } from "../lib/usage.ts"
import { partyserver } from "../subjects/partyserver.ts"
import { relay } from "../subjects/relay.ts"
import { signalHub } from "../subjects/signalHub.ts"
import { signalHubJson } from "../subjects/signalHubJson.ts"
import { socketIo } from "../subjects/socketio.ts"

const IN_FLIGHT = 256
const SUBSCRIBERS = 200
/** Publications on their way at a time; each keeps as many deliveries in flight as there are subscribers. */
const PUBLICATIONS = 8
const SESSIONS = 5_000
/** Connects under way at a time: below what a hub lets in unconnected. */
const CONNECTING = 50
const WARM_UP = 1_000
const WINDOW = 1_500

const units = {
  relay_throughput: "messages/s",
  relay_throughput_json: "messages/s",
  relay_server_cpu: "µs/message",
  round_trip_p50: "µs",
  round_trip_p99: "µs",
  fanout_deliveries: "deliveries/s",
  fanout_server_cpu: "µs/delivery",
  connects: "connects/s",
  connects_server_cpu: "µs/connect",
  bytes_per_message: "bytes",
  memory_per_idle_session: "bytes",
}

/** What arrived during a window after the warm-up, a second, and what it cost the server, each. */
const countDuring = async (server: Server, arrived: () => number) => {
  await sleep(WARM_UP)
  const [count, time, cpu] = [arrived(), performance.now(), processorTime(server.pid)]
  await sleep(WINDOW)
  const passed = arrived() - count
  if (passed === 0) throw new Error("nothing arrives any more")
  return {
    perSecond: (passed * 1_000) / (performance.now() - time),
    serverCpu: (processorTime(server.pid) - cpu) / passed,
  }
}

/** Keeps 256 messages on their way from one peer to another; returns how many arrived so far. */
const keepInFlight = (from: Peer, to: Peer): (() => number) => {
  let arrived = 0
  to.onMessage(() => {
    arrived++
    from.send(to.address, makePayload(arrived))
  })
  for (let n = 0; n < IN_FLIGHT; n++) from.send(to.address, makePayload(n))
  return () => arrived
}

const throughput = async (subject: Subject) => {
  await using server = await subject.start()
  await using a = await server.connect("@(bench/a)")
  await using b = await server.connect("@(bench/b)")
  const { perSecond, serverCpu } = await countDuring(server, keepInFlight(a, b))
  return { perSecond, serverCpu }
}

const relayThroughput = async (subject: Subject) => {
  const { perSecond, serverCpu } = await throughput(subject)
  return { relay_throughput: perSecond, relay_server_cpu: serverCpu }
}

const relayThroughputJson = async (subject: Subject) => ({
  relay_throughput_json: (await throughput(subject)).perSecond,
})

const roundTrip = async (subject: Subject) => {
  await using server = await subject.start()
  await using a = await server.connect("@(bench/a)")
  await using b = await server.connect("@(bench/b)")
  const times: Array<number> = []
  let sentAt = 0
  let n = 0
  b.onMessage((payload) => b.send(a.address, payload))
  const send = () => {
    sentAt = performance.now()
    a.send(b.address, makePayload(n++))
  }
  a.onMessage(() => {
    times.push(performance.now() - sentAt)
    // In a turn of its own, or a client that gathers what it sends would be measured gathering.
    setImmediate(send)
  })
  send()
  await sleep(WARM_UP)
  times.length = 0
  await sleep(WINDOW)
  if (times.length === 0) throw new Error("nothing comes back any more")
  return { round_trip_p50: quantile(times, 0.5) * 1_000, round_trip_p99: quantile(times, 0.99) * 1_000 }
}

const fanOut = async (subject: Subject) => {
  await using stack = new AsyncDisposableStack()
  const server = stack.use(await subject.start())
  const publisher = stack.use(await server.connect("@(bench/publisher)"))
  let arrived = 0
  const onMessage = () => {
    arrived++
    if (arrived % SUBSCRIBERS === 0) publisher.publish(makePayload(arrived))
  }
  for (let n = 0; n < SUBSCRIBERS; n++) {
    const subscriber = stack.use(await server.connect(`@(bench/s${n})`))
    subscriber.onMessage(onMessage)
    await subscriber.subscribe()
  }
  for (let n = 0; n < PUBLICATIONS; n++) publisher.publish(makePayload(n))
  const { perSecond, serverCpu } = await countDuring(server, () => arrived)
  return { fanout_deliveries: perSecond, fanout_server_cpu: serverCpu }
}

/** Both from one crowd: how fast it comes in, and what the server weighs more once it is there. */
const crowd = async (subject: Subject) => {
  await using server = await subject.start()
  const connect = async (from: number, to: number) => {
    const peers: Array<Peer> = []
    let next = from
    const connectNext = async () => {
      while (next < to) peers.push(await server.connect(`@(bench/c${next++})`))
    }
    await Promise.all(Array.from({ length: CONNECTING }, connectNext))
    return peers
  }
  const early = await connect(0, SESSIONS / 10)
  const memory = residentMemory(server.pid)
  const [time, cpu] = [performance.now(), processorTime(server.pid)]
  const rest = await connect(early.length, SESSIONS)
  const seconds = (performance.now() - time) / 1_000
  const serverCpu = (processorTime(server.pid) - cpu) / rest.length
  await sleep(200)
  const grown = residentMemory(server.pid) - memory
  await Promise.all([...early, ...rest].map((peer) => peer[Symbol.asyncDispose]()))
  return {
    connects: rest.length / seconds,
    connects_server_cpu: serverCpu,
    memory_per_idle_session: grown / rest.length,
  }
}

/** Headers of frames and of WebSocket included, those of TCP and IP not; up to the server and down. */
const weight = async (subject: Subject) => {
  await using server = await subject.start()
  await using proxy = await startCountingProxy(server.port)
  await using a = await server.connect("@(bench/a)", proxy.port)
  await using b = await server.connect("@(bench/b)", proxy.port)
  const arrived = keepInFlight(a, b)
  await sleep(WARM_UP / 4)
  const [bytes, count] = [proxy.bytes(), arrived()]
  await sleep(WINDOW / 4)
  return { bytes_per_message: (proxy.bytes() - bytes) / (arrived() - count) }
}

/** These have one form only, which is single JSON frames. */
const peers = [relay, partyserver, socketIo]
const all = [...peers, signalHub, signalHubJson]

const measures: ReadonlyArray<Measure<Subject>> = [
  { name: "relay throughput", subjects: [...peers, signalHub], run: relayThroughput },
  { name: "relay throughput in JSON", subjects: [...peers, signalHubJson], run: relayThroughputJson },
  { name: "round trip", subjects: all, run: roundTrip },
  { name: "fan-out", subjects: all, run: fanOut },
  { name: "connects and memory", subjects: all, run: crowd },
  { name: "bytes", subjects: all, run: weight },
]

export const hub: Suite = {
  name: "hub",
  baseline: relay.name,
  run: (options) => inTurn({ name: "hub", baseline: relay.name, units }, measures, options),
}
