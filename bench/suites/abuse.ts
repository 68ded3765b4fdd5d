/**
 * Storms from one client, and what an innocent pair on the same hub notices of each: its throughput in
 * the storm as a ratio to its own without, its slowest answer, and what the storm costs the server. The
 * hub has its default limits; the pair keeps within them, as our client does by itself.
 */
import type { Address } from "@signal-hub/actor-core"
import { connect, type Hub } from "@signal-hub/cloudflare-transport/client"
import type { Outcome, Row, Suite } from "../Suite.ts"
import { rage } from "../lib/rage.ts"
import { median } from "../lib/statistics.ts"
import { STORMS, type Tally } from "../lib/storms.ts"
import { processorTime, residentMemory } from "../lib/usage.ts"
import { startHub } from "../subjects/hubServer.ts"

const WARM_UP = 1_500
/** Until a storm is at its height. */
const RISE = 300
const SLICE = 1_500

/** What the pair did in some time. */
interface Exchange {
  /** Answers a second. */
  readonly throughput: number
  /** Milliseconds that the slowest took. */
  readonly slowest: number
}

const PAIR = { ada: "@(innocent/ada)", bob: "@(innocent/bob)" } as const satisfies Record<
  string,
  Address.Address
>

/** Asks on their way at a time: what a busy machine takes to wake a process must not bound the pair. */
const IN_FLIGHT = 32

/** Asks without a pause, and checks that each is answered by what was asked. */
const exchange = async (ada: Hub, milliseconds: number): Promise<Exchange> => {
  const start = performance.now()
  let [asked, answers, slowest] = [0, 0, 0]
  const lane = async (): Promise<void> => {
    for (let now = start; now - start < milliseconds;) {
      const question = asked++
      const answer = await ada.ask(PAIR.bob, "question", question, { reliable: false })
      if (answer !== question) throw new Error(`the pair lost a message: ${String(answer)} for ${question}`)
      answers++
      const before = now
      now = performance.now()
      slowest = Math.max(slowest, now - before)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  return { throughput: (answers * 1_000) / (performance.now() - start), slowest }
}

interface Slice {
  readonly quiet: Exchange
  readonly stormy: Exchange
  readonly tally: Tally
  /** Processor time of the server in the storm, as a part of one processor. */
  readonly cpu: number
  readonly memory: number
}

const measure = async (name: string): Promise<Slice> => {
  await using server = await startHub(true)
  const url = `ws://127.0.0.1:${server.port}/ws`
  const [ada, bob] = await Promise.all([
    connect(url, { identity: PAIR.ada }),
    connect(url, { identity: PAIR.bob }),
  ])
  bob.onMessage((message) => void bob.reply(message, "answer", message.payload))
  await exchange(ada, WARM_UP)
  const quiet = await exchange(ada, SLICE)
  const memory = residentMemory(server.pid)
  const end = await rage(name, url)
  await exchange(ada, RISE)
  const [cpu, time] = [processorTime(server.pid), performance.now()]
  const stormy = await exchange(ada, SLICE)
  const used = (processorTime(server.pid) - cpu) / ((performance.now() - time) * 1_000)
  const grown = residentMemory(server.pid) - memory
  const tally = await end()
  if (ada.state.status !== "connected" || bob.state.status !== "connected") {
    throw new Error("the pair was put out")
  }
  await Promise.all([ada.close(), bob.close()])
  return { quiet, stormy, tally, cpu: used, memory: grown }
}

const rowsOf = (subject: string, slices: ReadonlyArray<Slice>): ReadonlyArray<Row> => {
  const row = (
    metric: string,
    unit: string,
    of: (slice: Slice) => number,
    base?: (slice: Slice) => number,
  ): Row => ({
    suite: "abuse",
    metric,
    subject,
    unit,
    value: median(slices.map(of)),
    baseline: base === undefined ? null : median(slices.map(base)),
    ratio: base === undefined ? null : median(slices.map((slice) => of(slice) / base(slice))),
  })
  return [
    row(
      "innocent_throughput",
      "answers/s",
      ({ stormy }) => stormy.throughput,
      ({ quiet }) => quiet.throughput,
    ),
    row(
      "innocent_slowest_answer",
      "ms",
      ({ stormy }) => stormy.slowest,
      ({ quiet }) => quiet.slowest,
    ),
    row("storm_server_cpu", "processors", ({ cpu }) => cpu),
    row("storm_server_memory", "bytes", ({ memory }) => memory),
    row("storm_connections", "", ({ tally }) => tally.connections),
    row("storm_frames", "", ({ tally }) => tally.frames),
  ]
}

export const abuse: Suite = {
  name: "abuse",
  baseline: "itself, undisturbed",
  run: async ({ rounds, only, log }): Promise<Outcome> => {
    const rows: Array<Row> = []
    const failures: Array<string> = []
    for (const name of Object.keys(STORMS)) {
      if (only.length > 0 && !only.includes(name)) continue
      const slices: Array<Slice> = []
      for (let round = 0; round < rounds; round++) {
        log(`round ${round + 1}/${rounds}: ${name}`)
        try {
          slices.push(await measure(name))
        } catch (error) {
          failures.push(`${name}: ${String(error)}`)
        }
      }
      if (slices.length > 0) rows.push(...rowsOf(name, slices))
    }
    return { rows, failures }
  },
}
