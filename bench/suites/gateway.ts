/**
 * Gateways and durable actors beside what one would write by hand: how long an ask takes to a durable
 * actor and back, how many pass at once, what a takeover costs beside a connect, and how soon an evicted
 * gateway answers.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { Asker, GatewaySubject } from "../GatewaySubject.ts"
import {
  inTurn,
  type Figures,
  type Measure,
  type Options,
  type Outcome,
  type Row,
  type Suite,
  TIME_LIMIT,
  within,
} from "../Suite.ts"
import { makePayload } from "../lib/envelope.ts"
import { hold, type Load, measureLoad, probe, SLICE, warmUp } from "../lib/load.ts"
import { sayHello } from "../lib/protocolClient.ts"
import { requester } from "../lib/requester.ts"
import { median, quantile } from "../lib/statistics.ts"
import { gatewayByHand } from "../subjects/gatewayByHand.ts"
import { gateways, gatewaysJson } from "../subjects/gateways.ts"
import { gatewayUrl, startGateways } from "../subjects/gatewayServer.ts"
import { topics } from "./topics.ts"

const IN_FLIGHT = 256
const SLICES = 4
/** More where they go one at a time: how soon a sleeping process wakes is much of them, and noise. */
const SLICES_ALONE = 8
/**
 * Milliseconds of asks one at a time until nothing changes any more: what they run is compiled, and the server's
 * memory has its size. Until then it takes fresh pages from the system with each ask, two or three, which in a
 * virtual machine may cost 10 µs each.
 */
const WARM_UP_ALONE = 7_000
/** Milliseconds that an object has rested before it is woken: caches are as cold for the one as for the other. */
const REST = 30
/** Wake-ups, and takeovers, of a slice. */
const REPETITIONS = 40
/** Wake-ups, of objects that did not rest, until what they run is compiled: each runs most of it but once. */
const WARM_UP_WAKES = 600
/** As one identity may not be taken over again and again. */
const IDENTITIES = 20

const units = {
  durable_ask_p50: "µs",
  durable_ask_p99: "µs",
  durable_ask_throughput: "answers/s",
  durable_ask_server_cpu: "µs/answer",
  durable_change_p50: "µs",
  durable_change_throughput: "answers/s",
  wake: "µs",
  wake_ask: "µs",
}

type Ask = (asker: Asker, n: number) => Promise<unknown>
const echo: Ask = (asker, n) => asker.echo(makePayload(n))
const add: Ask = (asker) => asker.add(1)

/** Keeps so many asks on their way, each begun in a turn of its own where it is one. */
const askLoad = (asker: Asker, ask: Ask, inFlight: number, took: (milliseconds: number) => void): Load => {
  let [arrived, running, failure]: [number, boolean, unknown] = [0, false, undefined]
  const begin = (): void => {
    const askedAt = performance.now()
    const answered = (): void => {
      arrived++
      took(performance.now() - askedAt)
      if (!running) return
      // In a turn of its own, or a client that gathers what it sends would be measured gathering.
      if (inFlight === 1) setImmediate(begin)
      else begin()
    }
    ask(asker, arrived).then(answered, (error) => (failure = error))
  }
  return {
    start: () => {
      running = true
      for (let n = 0; n < inFlight; n++) begin()
    },
    stop: () => {
      running = false
      if (failure !== undefined) throw failure
    },
    arrived: () => arrived,
  }
}

const roundTrip =
  (ask: Ask, figures: (times: ReadonlyArray<number>) => Figures) => (subject: GatewaySubject) =>
    probe(async (stack) => {
      const server = stack.use(await subject.start())
      const asker = stack.use(await server.connect("@(bench/a)", "one"))
      let times: Array<number> = []
      const load = askLoad(asker, ask, 1, (milliseconds) => times.push(milliseconds * 1_000))
      await warmUp(load, WARM_UP_ALONE)
      return async () => {
        times = []
        load.start()
        await sleep(SLICE)
        await hold(load)
        return figures(times)
      }
    })

const throughput =
  (ask: Ask, figures: (perSecond: number, serverCpu: number) => Figures) => (subject: GatewaySubject) =>
    probe(async (stack) => {
      const server = stack.use(await subject.start())
      const asker = stack.use(await server.connect("@(bench/a)", "one"))
      const load = askLoad(asker, ask, IN_FLIGHT, () => {})
      await warmUp(load)
      return async () => {
        const { perSecond, serverCpu } = await measureLoad(server, load)
        return figures(perSecond, serverCpu)
      }
    })

/** From the frame that wakes it to the answer: the gateway alone, and with the actor that it asks. */
const wake = (subject: GatewaySubject) =>
  probe(async (stack) => {
    const server = stack.use(await subject.start())
    const asker = stack.use(await server.connect("@(bench/a)", "one"))
    const after = async (evict: () => Promise<unknown>, ask: () => Promise<unknown>, rest = REST) => {
      await evict()
      if (rest > 0) await sleep(rest)
      const start = performance.now()
      await ask()
      return (performance.now() - start) * 1_000
    }
    const wakeGateway = (rest?: number) =>
      after(() => server.evict("gateway", "@(bench/a)"), asker.ping, rest)
    const wakeBoth = (rest?: number) =>
      after(
        () => Promise.all([server.evict("gateway", "@(bench/a)"), server.evict("actor", "one")]),
        () => echo(asker, 0),
        rest,
      )
    await echo(asker, 0)
    for (let n = 0; n < WARM_UP_WAKES; n += 2) {
      await wakeGateway(0)
      await wakeBoth(0)
    }
    return async () => {
      // What rested while others had their turn may be evicted already.
      await echo(asker, 0)
      const [alone, both]: [Array<number>, Array<number>] = [[], []]
      for (let n = 0; n < REPETITIONS; n++) {
        alone.push(await wakeGateway())
        both.push(await wakeBoth())
      }
      return { wake: median(alone), wake_ask: median(both) }
    }
  })

const measures: ReadonlyArray<Measure<GatewaySubject>> = [
  {
    name: "asks, one at a time",
    slices: SLICES_ALONE,
    prepare: roundTrip(echo, (times) => ({
      durable_ask_p50: quantile(times, 0.5),
      durable_ask_p99: quantile(times, 0.99),
    })),
  },
  {
    name: `asks, ${IN_FLIGHT} at a time`,
    slices: SLICES,
    prepare: throughput(echo, (perSecond, serverCpu) => ({
      durable_ask_throughput: perSecond,
      durable_ask_server_cpu: serverCpu,
    })),
  },
  {
    name: "changes, one at a time",
    slices: SLICES_ALONE,
    prepare: roundTrip(add, (times) => ({ durable_change_p50: quantile(times, 0.5) })),
  },
  {
    name: `changes, ${IN_FLIGHT} at a time`,
    slices: SLICES,
    prepare: throughput(add, (perSecond) => ({ durable_change_throughput: perSecond })),
  },
  { name: "wake-ups", slices: SLICES, prepare: wake },
]

/**
 * From `hub:connect` sent to `hub:connected`, on a gateway that is awake and has its tables: in turn with
 * another connection to be taken over, and without one, as the one before has said farewell.
 */
const takeover = async ({ rounds, log }: Options): Promise<ReadonlyArray<Row>> => {
  const slices: Array<{ readonly connect: number; readonly takeover: number }> = []
  for (let round = 0; round < rounds; round++) {
    log(`round ${round + 1}/${rounds}: takeover`)
    await using server = await startGateways()
    const hello = async (identity: string) => {
      const client = await requester(gatewayUrl(server, identity))
      const start = performance.now()
      await sayHello(client, identity)
      return { client, took: (performance.now() - start) * 1_000 }
    }
    let pairs = 0
    const pair = async () => {
      const identity = `@(bench/t${pairs++ % IDENTITIES})`
      const first = await hello(identity)
      const second = await hello(identity)
      await second.client.request("@(cloudflare/signal-hub)", "hub:disconnect", {})
      await second.client[Symbol.asyncDispose]()
      await first.client[Symbol.asyncDispose]()
      return { connect: first.took, takeover: second.took }
    }
    for (let n = 0; n < REPETITIONS; n++) await pair()
    for (let slice = 0; slice < SLICES; slice++) {
      const took = []
      for (let n = 0; n < REPETITIONS; n++) took.push(await pair())
      slices.push({
        connect: median(took.map(({ connect }) => connect)),
        takeover: median(took.map(({ takeover }) => takeover)),
      })
    }
  }
  const connect = median(slices.map(({ connect }) => connect))
  const row = { suite: "gateway", subject: gateways.name, unit: "µs" }
  return [
    { ...row, metric: "connect", value: connect, baseline: null, ratio: null },
    {
      ...row,
      metric: "takeover",
      value: median(slices.map(({ takeover }) => takeover)),
      // Not what one would write by hand: a connect without one.
      baseline: connect,
      ratio: median(slices.map(({ connect, takeover }) => takeover / connect)),
    },
  ]
}

const run = async (options: Options): Promise<Outcome> => {
  const suite = { name: "gateway", baseline: gatewayByHand.name, units }
  const { rows, failures } = await inTurn(suite, [gatewayByHand, gateways, gatewaysJson], measures, options)
  const attempts = [takeover, topics]
  const more: Array<Row> = []
  const failed: Array<string> = []
  for (const attempt of attempts) {
    try {
      more.push(...(await within(options.rounds * 5 * TIME_LIMIT, attempt(options))))
    } catch (error) {
      failed.push(`${attempt.name}: ${String(error)}`)
    }
  }
  return { rows: [...rows, ...more], failures: [...failures, ...failed] }
}

export const gateway: Suite = { name: "gateway", baseline: gatewayByHand.name, run }
