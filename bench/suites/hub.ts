/**
 * The hub beside a hand-written relay object, partyserver and Socket.IO: how fast messages pass, how
 * long they take, what they weigh on the wire and what an idle session weighs in memory.
 *
 * Every probe has a server process of its own and warms it up first, for as long as it takes the
 * just-in-time compilers on both sides to settle.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { inTurn, type Measure, type Suite } from "../Suite.ts"
import type { Peer, Subject } from "../Subject.ts"
import { startCountingProxy } from "../lib/countingProxy.ts"
import { makePayload } from "../lib/envelope.ts"
import { hold, type Load, measureLoad, probe, SLICE, warmUp } from "../lib/load.ts"
import { relayLoad } from "../lib/relayLoad.ts"
import { quantile } from "../lib/statistics.ts"
import { processorTime, residentMemory } from "../lib/usage.ts"
import { partyserver } from "../subjects/partyserver.ts"
import { relay } from "../subjects/relay.ts"
import { signalHub } from "../subjects/signalHub.ts"
import { signalHubJson } from "../subjects/signalHubJson.ts"
import { socketIo } from "../subjects/socketio.ts"

const SUBSCRIBERS = 200
/** Publications on their way at a time; each keeps as many deliveries in flight as there are subscribers. */
const PUBLICATIONS = 8
const SESSIONS = 5_000
/** Connects under way at a time: below what a hub lets in unconnected. */
const CONNECTING = 50
const SLICES = 4

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

/** A server and two peers of it, by whichever port leads there. */
const serverWithPair = async (subject: Subject, stack: AsyncDisposableStack, proxied = false) => {
  const server = stack.use(await subject.start())
  const proxy = proxied ? stack.use(await startCountingProxy(server.port)) : undefined
  const a = stack.use(await server.connect("@(bench/a)", proxy?.port))
  const b = stack.use(await server.connect("@(bench/b)", proxy?.port))
  return { server, a, b, bytes: () => proxy?.bytes() ?? 0 }
}

/** Who speaks one form only, which is single JSON frames, is measured once for both metrics. */
const throughput = (subject: Subject) =>
  probe(async (stack) => {
    const { server, a, b } = await serverWithPair(subject, stack)
    const load = relayLoad(a, b)
    await warmUp(load)
    return async () => {
      const { perSecond, serverCpu } = await measureLoad(server, load)
      return {
        ...(subject !== signalHubJson && { relay_throughput: perSecond }),
        ...(subject !== signalHub && { relay_throughput_json: perSecond }),
        relay_server_cpu: serverCpu,
      }
    }
  })

const roundTrip = (subject: Subject) =>
  probe(async (stack) => {
    const { a, b } = await serverWithPair(subject, stack)
    let [times, running, sentAt]: [Array<number>, boolean, number] = [[], false, 0]
    b.onMessage((payload) => b.send(a.address, payload))
    const send = () => {
      sentAt = performance.now()
      a.send(b.address, makePayload(times.length))
    }
    a.onMessage(() => {
      times.push(performance.now() - sentAt)
      // In a turn of its own, or a client that gathers what it sends would be measured gathering.
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
    return async () => {
      times = []
      load.start()
      await sleep(SLICE)
      const measured = times
      await hold(load)
      if (measured.length === 0) throw new Error("nothing comes back any more")
      return {
        round_trip_p50: quantile(measured, 0.5) * 1_000,
        round_trip_p99: quantile(measured, 0.99) * 1_000,
      }
    }
  })

const fanOut = (subject: Subject) =>
  probe(async (stack) => {
    const server = stack.use(await subject.start())
    const publisher = stack.use(await server.connect("@(bench/publisher)"))
    let [arrived, running] = [0, false]
    const onMessage = () => {
      arrived++
      if (running && arrived % SUBSCRIBERS === 0) publisher.publish(makePayload(arrived))
    }
    for (let n = 0; n < SUBSCRIBERS; n++) {
      const subscriber = stack.use(await server.connect(`@(bench/s${n})`))
      subscriber.onMessage(onMessage)
      await subscriber.subscribe()
    }
    const load: Load = {
      start: () => {
        running = true
        for (let n = 0; n < PUBLICATIONS; n++) publisher.publish(makePayload(n))
      },
      stop: () => {
        running = false
      },
      arrived: () => arrived,
    }
    await warmUp(load)
    return async () => {
      const { perSecond, serverCpu } = await measureLoad(server, load)
      return { fanout_deliveries: perSecond, fanout_server_cpu: serverCpu }
    }
  })

/**
 * Both from one crowd: how fast it comes in, and what the server weighs more once it is there. The
 * server is fresh, as memory that was in use once hides what is used anew.
 */
const crowd = (subject: Subject) =>
  probe(async () => async () => {
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
  })

/** Up to the server and down, with what HTTP and WebSocket add, without TCP's and IP's headers. */
const weight = (subject: Subject) =>
  probe(async (stack) => {
    const { a, b, bytes } = await serverWithPair(subject, stack, true)
    const load = relayLoad(a, b)
    return async () => {
      const [before, count] = [bytes(), load.arrived()]
      load.start()
      await sleep(SLICE)
      await hold(load)
      return { bytes_per_message: (bytes() - before) / (load.arrived() - count) }
    }
  })

const subjects = [relay, partyserver, socketIo, signalHub, signalHubJson]

const measures: ReadonlyArray<Measure<Subject>> = [
  { name: "relay throughput", slices: SLICES, prepare: throughput },
  { name: "round trip", slices: SLICES, prepare: roundTrip },
  { name: "fan-out", slices: SLICES, prepare: fanOut },
  { name: "connects and memory", slices: 1, prepare: crowd },
  { name: "bytes", slices: 1, prepare: weight },
]

export const hub: Suite = {
  name: "hub",
  baseline: relay.name,
  run: (options) => inTurn({ name: "hub", baseline: relay.name, units }, subjects, measures, options),
}
