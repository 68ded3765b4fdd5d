/**
 * Where processes of one program store their session: a disk that is slow, and that outlives them. What was
 * being written when a process died is there whole, or not at all.
 */
import type { Host } from "../platform/Host.ts"
import type { Random } from "../platform/Random.ts"
import type { Simulation } from "../platform/Simulation.ts"
import { type Persistence, type Store, StoreTaken } from "@signal-hub/cloudflare-transport/client/persistence"

/** Milliseconds that a write takes. */
const USUALLY = 3
const RARELY = 300

export class Disk {
  readonly #simulation: Simulation
  readonly #random: Random
  readonly #entries = new Map<string, unknown>()
  #owner: Host | undefined

  constructor(simulation: Simulation, random: Random) {
    this.#simulation = simulation
    this.#random = random
  }

  /** The disk as this process has it. */
  of(host: Host): Persistence {
    return {
      open: async () => {
        this.#owner = host
        const entries = structuredClone(this.#entries)
        return { entries, write: (changes) => this.#write(host, structuredClone(changes)) } satisfies Store
      },
    }
  }

  #write(host: Host, changes: ReadonlyMap<string, unknown>): Promise<void> {
    const simulation = this.#simulation
    return new Promise((resolve, reject) => {
      simulation.schedule(this.#random.delay(USUALLY, RARELY), () => {
        if (!host.isAlive && this.#random.chance(0.5)) return
        if (host !== this.#owner) {
          if (!host.isAlive) return
          simulation.enter(host)
          return reject(new StoreTaken())
        }
        for (const [key, value] of changes) {
          if (value === undefined) this.#entries.delete(key)
          else this.#entries.set(key, value)
        }
        if (!host.isAlive) return
        simulation.enter(host)
        resolve()
      })
    })
  }
}
