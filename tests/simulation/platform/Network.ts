/** The network between processes and the platform's edge: who opens a socket comes to the Worker, or nowhere. */
import { ClientSocket } from "./ClientSocket.ts"
import type { Faults } from "./Faults.ts"
import { Host } from "./Host.ts"
import { OPEN, type ServerSocket } from "./ServerSocket.ts"
import type { Simulation } from "./Simulation.ts"
import type { PlatformResponse } from "./web.ts"
import { Wire } from "./Wire.ts"

/** The Worker's entry. */
export type Fetch = (request: Request) => Promise<unknown>

export class Network {
  readonly #simulation: Simulation
  readonly #faults: () => Faults
  readonly #worker: Host
  readonly #fetch: Fetch
  readonly #wires = new Map<Host, Array<Wire>>()
  /** Who is without a network. */
  readonly offline = new Set<Host>()
  #count = 0

  constructor(simulation: Simulation, faults: () => Faults, worker: Host, fetch: Fetch) {
    this.#simulation = simulation
    this.#faults = faults
    this.#worker = worker
    this.#fetch = fetch
  }

  /** The sockets of a process that are not cut. */
  wiresOf(host: Host): ReadonlyArray<Wire> {
    return (this.#wires.get(host) ?? []).filter((wire) => !wire.isCut)
  }

  /** Opens a socket, as `new WebSocket` does. */
  open(host: Host, url: string, protocols: ReadonlyArray<string>): ClientSocket {
    const simulation = this.#simulation
    const socket = new ClientSocket(host)
    const name = `${host.name}/${this.#count++}`
    const wire = new Wire(name, simulation, socket, host.random.fork(`wire ${name}`))
    socket.wire = wire
    const wires = this.wiresOf(host)
    this.#wires.set(host, [...wires, wire])
    simulation.note(`open ${name}`, url)
    const { random } = wire
    const fail = (): void => wire.cut({ client: random.delay(50, 3_000) })
    let isGivenUp = false
    wire.giveUp = () => {
      isGivenUp = true
      simulation.schedule(random.delay(50, 1_000), () => {
        if (socket.wire.server === undefined) wire.cut({ client: 0 })
        else wire.cut({ client: 0, server: random.delay(50, 1_000) })
      })
    }
    if (this.offline.has(host) || random.chance(this.#faults().upgrade)) {
      fail()
      return socket
    }
    simulation.schedule(random.delay(50, 2_000), () => {
      if (isGivenUp || wire.isCut) return fail()
      simulation.enter(this.#worker)
      const headers = { Upgrade: "websocket", "Sec-WebSocket-Protocol": protocols.join(", ") }
      void this.#upgrade(wire, new Request(url.replace(/^ws/, "http"), { headers }), fail)
    })
    return socket
  }

  async #upgrade(wire: Wire, request: Request, fail: () => void): Promise<void> {
    let response: PlatformResponse
    try {
      response = (await this.#fetch(request)) as PlatformResponse
    } catch (error) {
      this.#simulation.note(`upgrade of ${wire.name} failed`, String(error))
      return fail()
    }
    if (response.webSocket === null) {
      this.#simulation.note(`upgrade of ${wire.name} refused`, `${response.status}`)
      return fail()
    }
    const { server } = response.webSocket
    if (wire.isCut) return this.#abandon(server, wire)
    wire.server = server
    wire.down((client) => client.opened())
    server.link(wire)
  }

  /** The client was gone before its upgrade was answered. */
  #abandon(server: ServerSocket, wire: Wire): void {
    server.link(wire)
    const notice = wire.random.delay(50, 3_000)
    this.#simulation.schedule(notice, () => {
      if (server.readyState <= OPEN + 1) server.owner?.closed(server, 1006, "", false)
    })
  }
}
