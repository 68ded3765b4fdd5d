/** What is done to connections and to the server, one thing at a time each. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Fault, FaultyProxy, Link } from "./FaultyProxy.ts"
import type { Ledger } from "./Ledger.ts"
import type { Random } from "./random.ts"
import type { Server } from "./Server.ts"

/** What happens to the server, in turn: `kill -9`, an eviction by which sockets hibernate, or, as with a deploy, close. */
const TURNS = ["hibernate", "kill", "hibernate", "close"] as const
/** Milliseconds that an eviction may take. */
const EVICTION = 5_000
/** Milliseconds that a connection is stalled or half-open at most. */
const LONGEST_WOUND = 3_000
/** Milliseconds by which a connection is delayed at most. */
const LONGEST_DELAY = 100

export class Mischief {
  readonly counts = { kills: 0, evictions: 0, deploys: 0, cuts: 0, stalls: 0 }
  /** Nobody is to begin anything: an eviction waits for a moment without a timer. */
  isLull = false
  readonly #random: Random
  readonly #ledger: Ledger
  readonly #server: Server
  readonly #proxy: FaultyProxy
  /** Links that are stalled or half-open, or were. */
  readonly #wounded = new Set<Link>()
  #turn = 0

  constructor(random: Random, ledger: Ledger, server: Server, proxy: FaultyProxy) {
    this.#random = random
    this.#ledger = ledger
    this.#server = server
    this.#proxy = proxy
  }

  /** Something happens to some connection. */
  toLink(): void {
    const links = [...this.#proxy.links]
    if (this.isLull || links.length === 0) return
    const fault = this.#anyFault()
    const link = this.#random.one(links)
    link.inflict(fault)
    if (fault.kind === "half_open" || fault.kind === "stall") this.#wounded.add(link)
    if (fault.kind === "stall" || fault.kind === "delay") this.counts.stalls++
    else this.counts.cuts++
  }

  /** Something happens to the server. */
  toServer(): Promise<void> {
    const what = TURNS[this.#turn++ % TURNS.length]!
    return what === "kill" ? this.#kill() : this.#evict(what)
  }

  /** No connection is as it was: what was wounded, and not cut yet, ends. */
  stop(): void {
    for (const link of this.#proxy.links) link.inflict({ kind: "cut" })
  }

  #anyFault(): Fault {
    const random = this.#random
    const direction = random.one(["up", "down"] as const)
    const kind = random.one(["cut", "reset", "cut_in_frame", "half_open", "stall", "delay", "delay"] as const)
    switch (kind) {
      case "cut":
      case "reset":
        return { kind }
      case "cut_in_frame":
        return { kind, direction }
      case "half_open":
      case "stall":
        return { kind, direction, for: random.between(100, LONGEST_WOUND) }
      case "delay":
        return { kind, by: random.between(0, LONGEST_DELAY) }
    }
  }

  async #evict(webSockets: "hibernate" | "close"): Promise<void> {
    const isDeploy = webSockets === "close"
    const what = isDeploy ? "deploy" : "eviction"
    this.isLull = true
    // It would wait for these, too.
    for (const link of this.#wounded) link.inflict({ kind: "reset" })
    this.#wounded.clear()
    try {
      const late = sleep(EVICTION, "late" as const, { ref: false })
      if ((await Promise.race([this.#server.evict(webSockets), late])) !== "late") {
        this.counts[isDeploy ? "deploys" : "evictions"]++
        this.#ledger.note("", `a ${what}`)
      }
    } catch (error) {
      // One that was late may still be under way.
      this.#ledger.note("", `no ${what}: ${String(error)}`)
    }
    this.isLull = false
  }

  async #kill(): Promise<void> {
    this.#ledger.note("", "kill -9")
    this.counts.kills++
    this.#proxy.target = undefined
    await this.#server.kill()
    this.#proxy.target = this.#server.port()
    this.#ledger.note("", "the hub listens again")
  }
}
