/** One life: the steps of a plan, then calm, then the end of everybody, and what must hold all the while. */
import { CALM } from "../platform/Faults.ts"
import { activate } from "../platform/globals.ts"
import type { Host } from "../platform/Host.ts"
import { placeOf } from "../platform/Objects.ts"
import { EPOCH, Simulation } from "../platform/Simulation.ts"
import { Deployment } from "./Deployment.ts"
import { type Content, Ledger } from "./Ledger.ts"
import type { Party } from "./Party.ts"
import type { Plan, Step } from "./Plan.ts"
import { Population } from "./Population.ts"
import { checkEmpty, checkRows } from "./Rows.ts"

/**
 * Milliseconds of calm after the last step: all come back, all asks end, and who sends to somebody who is not
 * there any more learns it. A gateway looks for silent sockets every ten minutes only.
 */
const CALM_FOR = { hub: 120_000, gateway: 900_000 }
/** Milliseconds after which nothing waits for anything any more. */
const END_FOR = 2_500_000
/** The same for who is left, while others go. */
const GONE_AFTER = 1_500_000

export interface Outcome {
  readonly seed: number
  readonly hash: string
  /** The promise that was broken, and how. */
  readonly invariant?: string
  readonly detail?: string
  readonly trace?: ReadonlyArray<string>
  /** Of what there was how much. */
  readonly counts: { readonly [what: string]: number }
}

export class Life {
  readonly #plan: Plan
  readonly #simulation: Simulation
  readonly #deployment: Deployment
  readonly #ledger: Ledger
  readonly #population: Population
  /** Processes that were gone before all was calm: what they had not got rid of went with them. */
  /** Milliseconds that the platform's clock was set back in all: stored deadlines come so much later. */
  #setBack = 0
  readonly #mayBeUntold = new Set<string>()
  /** Reliable messages that the event under way gave up, and sessions that it ended for a winner. */
  #givenUp: Array<{ readonly content: Content; readonly host: Host }> = []
  readonly #superseded = new Set<string>()

  constructor(plan: Plan, keepsTrace: boolean) {
    this.#plan = plan
    this.#simulation = new Simulation(plan.seed, keepsTrace)
    this.#ledger = new Ledger()
    this.#deployment = new Deployment(this.#simulation, {
      auth: plan.auth,
      isTight: plan.isTight,
      faults: plan.faults,
      onFailure: (place, label, error) =>
        this.#ledger.broken("no handler fails", `${place} ${label}: ${stackOf(error)}`),
    })
    this.#population = new Population(plan, this.#deployment.network, this.#simulation, this.#ledger)
    this.#simulation.onError = (host, error) => this.#onError(host, error)
    this.#simulation.afterEvent = () => {
      if (this.#givenUp.length + this.#superseded.size > 0) this.#judgeGivenUp()
    }
    this.#simulation.onLog = (host, level, line) => this.#onLog(host, level, line)
  }

  async run(): Promise<Outcome> {
    const simulation = this.#simulation
    activate(simulation)
    try {
      for (const step of this.#plan.steps) simulation.schedule(step.at, () => this.#step(step))
      const lastAt = this.#plan.steps.at(-1)?.at ?? 0
      await this.#until(lastAt + 1)
      if (!this.#isOver()) await this.#calmDown()
      if (!this.#isOver()) await this.#end()
      if (!this.#isOver()) this.#ledger.judgeMessages((name) => this.#mayBeUntold.has(name))
    } catch (error) {
      this.#ledger.broken("the simulation goes on", stackOf(error))
    } finally {
      activate(undefined)
      this.#deployment.close()
    }
    return this.#outcome()
  }

  #isOver(): boolean {
    return this.#ledger.violation !== undefined
  }

  #until(at: number): Promise<void> {
    return this.#simulation.run(at, () => this.#isOver())
  }

  async #calmDown(): Promise<void> {
    const simulation = this.#simulation
    simulation.note("calm")
    this.#deployment.faults = CALM
    this.#deployment.network.offline.clear()
    for (const place of this.#deployment.objects.all()) place.crashPlan = undefined
    await this.#until(simulation.now + CALM_FOR[this.#plan.topology])
    this.#ledger.judgeAsks((name) => this.#population.parties.find((party) => party.name === name)!.isAlive)
    this.#checkRows()
  }

  /** One half goes, then the other: who stays hears of who went, and nothing is left of anybody. */
  async #end(): Promise<void> {
    const simulation = this.#simulation
    const [first, ...others] = this.#plan.identities
    simulation.note("end of the first")
    this.#leave((party) => party.identity === first)
    await this.#until(simulation.now + GONE_AFTER + this.#setBack)
    for (const party of this.#population.parties) this.#judgeWatches(party, first!)
    simulation.note("end of the others")
    this.#leave(({ identity }) => others.includes(identity))
    await this.#until(simulation.now + END_FOR + this.#setBack)
    for (const place of this.#deployment.objects.all()) checkEmpty(place, this.#ledger)
  }

  #leave(goes: (party: Party) => boolean): void {
    for (const party of this.#population.parties.filter(goes)) {
      if (!party.isAlive || party.status !== "connected") this.#mayBeUntold.add(party.name)
      if (!party.isAlive) continue
      if (party.random.chance(0.5)) this.#simulation.schedule(0, () => party.close(), party)
      else this.#population.kill(party, party.random.chance(0.5))
    }
  }

  /** Who watched an identity that is gone has heard of it. */
  #judgeWatches(party: Party, gone: string): void {
    if (!party.isAlive || party.status !== "connected") return
    for (const { isOver, to, watch } of party.watches) {
      if (to !== gone || isOver || watch === undefined) continue
      this.#ledger.broken("a watcher is told", `${party.name} has not heard that ${gone} is gone`)
    }
  }

  #step(step: Step): void {
    this.#simulation.note(`step ${this.#plan.steps.indexOf(step)}`, JSON.stringify(step))
    this.#act(step)
    this.#checkRows()
  }

  #checkRows(): void {
    for (const place of this.#deployment.objects.all()) checkRows(place, this.#ledger, this.#plan.isTight)
  }

  #act(step: Step): void {
    const { network, objects } = this.#deployment
    const simulation = this.#simulation
    switch (step.do) {
      case "connect":
        return this.#population.connect(step)
      case "crash": {
        const places = [...objects.all()]
        if (places.length > 0) places[step.object % places.length]!.crashPlan = { hop: step.hop }
        return
      }
      case "crashNow": {
        const places = [...objects.all()]
        return places[step.object % places.length]?.crash("at once")
      }
      case "sleep":
        for (const place of objects.all()) place.sleep()
        return
      case "deploy":
        return this.#deployment.deploy()
      case "jump": {
        if (step.isPlatform) {
          this.#setBack += Math.max(0, -step.ms)
          return this.#deployment.jump(step.ms)
        }
        const party = this.#population.of(step.who)
        if (party !== undefined) party.clockOffset += step.ms
        return
      }
      default:
    }
    const party = this.#population.of(step.who)
    if (party === undefined) return
    const { identities } = this.#plan
    switch (step.do) {
      case "kill":
        return this.#population.kill(party, step.isSeen)
      case "restart":
        this.#population.kill(party, step.isSeen)
        simulation.schedule(step.after, () => this.#population.start(party.options))
        return
      case "cut":
        for (const wire of network.wiresOf(party)) {
          wire.cut({
            ...(step.client && { client: wire.random.delay(50, 3_000) }),
            ...(step.server && { server: wire.random.delay(50, 30_000) }),
          })
        }
        return
      case "hold":
        for (const wire of network.wiresOf(party)) wire.hold(step.direction, step.ms)
        return
      case "offline":
        network.offline.add(party)
        for (const wire of network.wiresOf(party)) wire.cut({ client: 10 })
        simulation.schedule(step.ms, () => network.offline.delete(party))
        return
      default:
    }
    simulation.enter(party)
    switch (step.do) {
      case "tell":
        return party.tell(step, identities)
      case "stream":
        if (step.cutAfter !== null)
          simulation.schedule(step.cutAfter, () => this.#population.cutOff(identities[step.to]!))
        return party.stream(step, identities)
      case "ask":
        return party.ask(step, identities)
      case "watch":
        return party.watch(step, identities)
      case "subscribe":
        return party.subscribe(step)
      case "unsubscribe":
        return party.unsubscribe(step)
      case "publish":
        return party.publish(step)
      case "register":
        return party.register(step)
      case "unregister":
        return party.unregister(step)
      case "reclaim":
        return party.reclaim()
      case "close":
        return party.close()
      default:
    }
  }

  /** What was given up in this event had nobody left to go to. */
  #judgeGivenUp(): void {
    const now = EPOCH + this.#simulation.now + this.#deployment.clockOffset
    for (const { content, host } of this.#givenUp) {
      const { by, n, to } = content
      // What a turn that was never written has done is nothing.
      if (!host.isAlive || `${placeOf(host)}` !== this.#homeOf(to)) continue
      const what = `${n} of ${by} to ${to}`
      if (this.#superseded.has(to)) this.#ledger.broken("an outbox passes to the winner", `${what} did not`)
      const [session] = placeOf(host)!.storage.look<{ connected_at: number }>(
        `SELECT connected_at FROM session WHERE identity = '${to}'`,
      )
      if (session !== undefined && session.connected_at < Math.floor(now)) {
        this.#ledger.broken("a session keeps its outbox", `${what} was given up while the session is there`)
      }
    }
    this.#givenUp = []
    this.#superseded.clear()
  }

  /** The object that has the sessions of an identity. */
  #homeOf(identity: string): string {
    return this.#plan.topology === "hub" ? "hub:default" : `gateway:${identity}`
  }

  #onError(host: Host | undefined, error: unknown): void {
    // What the dead still do is nobody's.
    if (host?.isAlive === false) return
    this.#ledger.broken(
      "nothing is thrown that nobody catches",
      `${host?.name ?? "nobody"}: ${stackOf(error)}`,
    )
  }

  #onLog(host: Host | undefined, level: string, line: string): void {
    this.#simulation.note(`${host?.name ?? "nobody"} logs`, line)
    if (line.includes('"delivery_failed"')) {
      const { messageId, reason } = JSON.parse(line) as {
        readonly messageId: string
        readonly reason: string
      }
      const content = this.#ledger.deadLetter(messageId, reason)
      if (content !== undefined && host !== undefined) this.#givenUp.push({ content, host })
    }
    if (line.includes('"cause":"superseded"')) {
      this.#superseded.add((JSON.parse(line) as { readonly actorIdentity: string }).actorIdentity)
    }
    if (level === "error" && host?.isAlive === true) {
      this.#ledger.broken("no error is logged", `${host.name}: ${line}`)
    }
  }

  #outcome(): Outcome {
    const { violation } = this.#ledger
    const { trace, events } = this.#simulation
    const places = [...this.#deployment.objects.all()]
    const sum = (of: (place: (typeof places)[number]) => number): number =>
      places.reduce((total, place) => total + of(place), 0)
    return {
      seed: this.#plan.seed,
      hash: trace.hash,
      ...(violation !== undefined && { invariant: violation.invariant, detail: violation.detail }),
      ...(trace.lines !== undefined && { trace: trace.lines }),
      counts: {
        events,
        delivered: this.#ledger.delivered,
        asks: this.#ledger.asksEnded,
        answers: this.#ledger.answered,
        crashes: sum(({ crashes }) => crashes),
        sleeps: sum(({ sleeps }) => sleeps),
        ...this.#ledger.sessions,
      },
    }
  }
}

const stackOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? String(error)) : String(error)
