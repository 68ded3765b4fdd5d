/**
 * One run of chaos: identities that talk to one another through a proxy that breaks connections, to a hub that
 * is evicted, deployed and killed, while processes crash and take over from one another. Then all is healed,
 * and what came of each message is judged.
 */
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Address } from "@signal-hub/actor-core"
import { Crowd } from "./Crowd.ts"
import { startFaultyProxy } from "./FaultyProxy.ts"
import { historyOf } from "./history.ts"
import { Ledger } from "./Ledger.ts"
import { Mischief } from "./Mischief.ts"
import { makeRandom } from "./random.ts"
import { startServer } from "./Server.ts"
import { judge } from "./verdict.ts"

export interface ChaosOptions {
  /** Messages to send, volatile ones among them. */
  readonly messages: number
  readonly seed: number
  /** Milliseconds after which no more are sent, however many were. */
  readonly timeLimit?: number
  readonly identities?: number
  /** The Worker's module; the hub as it comes by default. */
  readonly script?: string
  /** Milliseconds in which all must have come to rest once nothing is broken any more. */
  readonly healing?: number
  /** Says how far it is. */
  readonly log?: (line: string) => void
}

export interface ChaosFigures {
  readonly seed: number
  readonly seconds: number
  readonly reliable: number
  readonly volatile: number
  readonly deliveries: number
  readonly messagesPerSecond: number
  readonly processes: number
  readonly kills: number
  readonly evictions: number
  readonly deploys: number
  readonly cuts: number
  readonly stalls: number
  readonly resumes: number
  readonly takeovers: number
  readonly crashes: number
  readonly reclaims: number
  readonly reported: number
  readonly healedInSeconds: number
}

export interface ChaosReport {
  readonly figures: ChaosFigures
  /** What was violated, each with its history. */
  readonly violations: ReadonlyArray<string>
}

/** Mean milliseconds between two of a kind, for the whole. */
const EVERY = { link: 50, takeover: 300, server: 500, log: 5_000 }
/** By default: as long as an ask may take. */
const HEALING = 60_000

export const runChaos = async (options: ChaosOptions): Promise<ChaosReport> => {
  const { healing = HEALING, identities = 50, log, messages, seed } = options
  const script = options.script ?? join(import.meta.dirname, "../integration/worker.ts")
  await using stack = new AsyncDisposableStack()
  const random = makeRandom(seed)
  const ledger = new Ledger()
  const server = stack.use(await startServer(script))
  const proxy = stack.use(await startFaultyProxy(server.port()))
  const mischief = new Mischief(random, ledger, server, proxy)

  const began = performance.now()
  let sent = 0
  const isEnough = (): boolean =>
    sent >= messages || performance.now() - began >= (options.timeLimit ?? Number.POSITIVE_INFINITY)
  const crowd = new Crowd({
    url: `ws://127.0.0.1:${proxy.port}/ws`,
    ledger,
    random,
    identities: Array.from({ length: identities }, (_, n) => `@(chaos/${n})` as Address.Address),
    mayTalk: () => !isEnough() && ++sent > 0,
    isLull: () => mischief.isLull,
  })
  stack.defer(() => crowd.end())
  await crowd.begin()

  /** At random times, as often as this on average, until enough was said. */
  const repeat = async (every: number, task: () => unknown): Promise<void> => {
    for (;;) {
      const until = performance.now() + random.between(0, 2 * every)
      while (performance.now() < until) {
        if (isEnough()) return
        await sleep(Math.min(50, Math.max(1, until - performance.now())))
      }
      await task()
    }
  }
  await Promise.all([
    repeat(EVERY.link, () => mischief.toLink()),
    repeat(EVERY.takeover, () => crowd.change()),
    repeat(EVERY.server, () => mischief.toServer()),
    repeat(EVERY.log, () => log?.(`${sent} messages, ${ledger.violations.length} violations`)),
  ])
  const seconds = (performance.now() - began) / 1_000

  // From here on nothing is broken: all must come to rest.
  const healed = performance.now()
  ledger.note("", "nothing is broken any more")
  mischief.stop()
  await crowd.rest()
  const isAtRest = (): boolean => {
    if (!crowd.isConnected || ledger.unsettled().length > 0) return false
    const { outbox, asks } = server.stored()
    return outbox === 0 && asks === 0
  }
  while (!isAtRest() && performance.now() - healed < healing) await sleep(200)
  const healedInSeconds = (performance.now() - healed) / 1_000

  judge(ledger)
  const { asks, epochs, outbox, strays } = server.stored()
  crowd.judge(epochs)
  if (outbox > 0) ledger.violated("outboxes drain", undefined, `${outbox} rows are left`)
  if (asks > 0) ledger.violated("asks end", undefined, `${asks} rows of open asks are left`)
  if (strays > 0) ledger.violated("one session an identity", undefined, `${strays} sessions hold no identity`)
  return {
    figures: {
      seed,
      seconds,
      reliable: ledger.count,
      volatile: ledger.volatile.sent,
      deliveries: ledger.deliveries + ledger.volatile.delivered,
      messagesPerSecond: sent / seconds,
      ...mischief.counts,
      ...crowd.counts,
      resumes: ledger.resumes,
      reported: ledger.reports,
      healedInSeconds,
    },
    violations: ledger.violations.map((violation) => historyOf(ledger, violation)),
  }
}
