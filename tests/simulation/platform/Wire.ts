/**
 * What is between the two ends of a socket: frames arrive in order, each way, some time later, or no more
 * once it is cut. Neither end need notice a cut.
 */
import type { ClientSocket } from "./ClientSocket.ts"
import type { Random } from "./Random.ts"
import { type Frame, printable, type ServerSocket } from "./ServerSocket.ts"
import type { Simulation } from "./Simulation.ts"

/** Milliseconds that a frame takes. */
const USUALLY = 20
const RARELY = 1_500

class Lane {
  /** When the last frame arrives, and before when none does. */
  lastAt = 0
  heldUntil = 0
}

export class Wire {
  readonly name: string
  readonly client: ClientSocket
  server: ServerSocket | undefined
  isCut = false
  readonly random: Random
  readonly #simulation: Simulation
  readonly #up = new Lane()
  readonly #down = new Lane()
  /** What the client does not wait for. */
  giveUp: () => void = () => {}

  constructor(name: string, simulation: Simulation, client: ClientSocket, random: Random) {
    this.name = name
    this.#simulation = simulation
    this.client = client
    this.random = random
  }

  /** Something happens at the server's end, when it is its turn. */
  up(task: (server: ServerSocket) => void): void {
    this.#carry(this.#up, () => {
      if (this.server !== undefined) task(this.server)
    })
  }

  /** Something happens at the client's end. */
  down(task: (client: ClientSocket) => void): void {
    const { client } = this
    this.#carry(this.#down, () => {
      if (!client.host.isAlive) return
      this.#simulation.enter(client.host)
      task(client)
    })
  }

  /** Nothing arrives for so many milliseconds: what is sent meanwhile does then, at once. */
  hold(direction: "up" | "down", milliseconds: number): void {
    const lane = direction === "up" ? this.#up : this.#down
    lane.heldUntil = Math.max(lane.heldUntil, this.#simulation.now + milliseconds)
  }

  /** Nothing arrives any more. Who is to notice does, after so many milliseconds. */
  cut(notice: { readonly client?: number; readonly server?: number }, code = 1006): void {
    if (this.isCut) return
    this.isCut = true
    this.#simulation.note(`cut ${this.name}`, JSON.stringify({ ...notice, code }))
    const { client, server } = this
    if (notice.client !== undefined) {
      this.#simulation.schedule(notice.client, () => client.failed(code), client.host)
    }
    if (notice.server !== undefined && server !== undefined) {
      this.#simulation.schedule(notice.server, () => server.owner?.closed(server, 1006, "", false))
    }
  }

  note(what: string, frame: Frame): void {
    this.#simulation.note(`${what} ${this.name}`, printable(frame))
  }

  #carry(lane: Lane, task: () => void): void {
    if (this.isCut) return
    const { now } = this.#simulation
    lane.lastAt = Math.max(lane.lastAt, lane.heldUntil, now + this.random.delay(USUALLY, RARELY))
    this.#simulation.at(lane.lastAt, () => {
      if (!this.isCut) task()
    })
  }
}
