/** All processes there ever were: how they begin, and how they are lost. */
import type { Network } from "../platform/Network.ts"
import type { Simulation } from "../platform/Simulation.ts"
import { Disk } from "./Disk.ts"
import type { Ledger } from "./Ledger.ts"
import { Party, type PartyOptions } from "./Party.ts"
import type { Plan, Step } from "./Plan.ts"

export class Population {
  readonly parties: Array<Party> = []
  readonly #plan: Plan
  readonly #network: Network
  readonly #simulation: Simulation
  readonly #ledger: Ledger

  constructor(plan: Plan, network: Network, simulation: Simulation, ledger: Ledger) {
    this.#plan = plan
    this.#network = network
    this.#simulation = simulation
    this.#ledger = ledger
  }

  /** The process of the identity that came last, of those that live. */
  of(who: number): Party | undefined {
    const identity = this.#plan.identities[who]
    return this.parties.findLast((party) => party.identity === identity && party.isAlive)
  }

  /** A program begins, with its first process. */
  connect(how: Extract<Step, { do: "connect" }>): void {
    const { auth, identities, topology } = this.#plan
    const identity = identities[how.who]!
    const query = auth === "open" ? `?identity=${encodeURIComponent(identity)}` : ""
    const url = topology === "hub" ? "ws://hub.test/ws" : `ws://hub.test/gateway${query}`
    const random = this.#simulation.random.fork(`disk ${this.parties.length}`)
    const disk = how.stores ? new Disk(this.#simulation, random) : undefined
    this.start({ url, identity, withToken: auth === "token", how, disk })
  }

  /** A process begins; the next of its program, where there was one with this disk. */
  start(options: PartyOptions): void {
    const simulation = this.#simulation
    const name = `${options.identity.slice(7, -1)}${this.parties.length}`
    const world = { simulation, network: this.#network, ledger: this.#ledger }
    const party = new Party(name, simulation.random.fork(`party ${name}`), options, world)
    this.parties.push(party)
    simulation.enter(party)
    void party.begin()
  }

  /** The process is gone at once; whether the other ends of its sockets see that. */
  kill(party: Party, isSeen: boolean): void {
    this.#simulation.note(`kill ${party.name}`)
    for (const wire of this.#network.wiresOf(party)) {
      wire.cut(isSeen ? { server: wire.random.delay(50, 3_000) } : {})
    }
    party.isAlive = false
  }

  /** All processes of the identity lose their connections, and notice soon. */
  cutOff(identity: string): void {
    for (const party of this.parties.filter((one) => one.identity === identity)) {
      for (const wire of this.#network.wiresOf(party)) wire.cut({ client: 10 })
    }
  }
}
