/**
 * A Durable Object on the platform: its storage, sockets and alarm, which outlive its memory, and the one
 * incarnation that there may be. Events are its one by one.
 */
import type { Faults } from "./Faults.ts"
import { Incarnation, type Instance, type Job } from "./Incarnation.ts"
import { ObjectAlarm } from "./ObjectAlarm.ts"
import { makeState } from "./ObjectState.ts"
import { ObjectStorage } from "./ObjectStorage.ts"
import type { Random } from "./Random.ts"
import {
  CLOSED,
  CLOSING,
  type Frame,
  OPEN,
  printable,
  type ServerSocket,
  type SocketOwner,
} from "./ServerSocket.ts"
import { EPOCH, type Simulation } from "./Simulation.ts"

/** Milliseconds that a commit takes. */
const COMMIT = 4
const SLOW_COMMIT = 400

/** A crash that is to come in the next turn that does something. */
export interface CrashPlan {
  /** Microtasks into the turn; `null`: at its end. */
  readonly hop: number | null
}

/** What all objects share. */
export interface ObjectsWorld {
  readonly simulation: Simulation
  readonly faults: () => Faults
  /** How far the platform's clock is ahead, in milliseconds. */
  readonly clockOffset: () => number
  /** Makes the object of a class. */
  readonly make: (kind: string, state: unknown) => Instance
  /** A handler threw. */
  readonly failed: (place: ObjectPlace, label: string, error: unknown) => void
}

export class ObjectPlace implements SocketOwner {
  readonly kind: string
  readonly name: string
  readonly storage = new ObjectStorage()
  readonly sockets = new Set<ServerSocket>()
  readonly random: Random
  readonly world: ObjectsWorld
  incarnation: Incarnation | undefined
  autoResponse: { readonly request: string; readonly response: string } | null = null
  readonly alarm = new ObjectAlarm(this)
  crashPlan: CrashPlan | undefined
  lives = 0
  crashes = 0
  sleeps = 0
  /** When the last commit under way is done. */
  #lastCommit = 0

  constructor(world: ObjectsWorld, kind: string, name: string) {
    this.world = world
    this.kind = kind
    this.name = name
    this.random = world.simulation.random.fork(`object ${this}`)
    this.storage.onAlarm = () => this.alarm.arm()
  }

  toString(): string {
    return `${this.kind}:${this.name}`
  }

  // -- events

  /** The event is the object's, now or when it is ready. Called as an event of nobody's. */
  dispatch(job: Job): void {
    const { simulation } = this.world
    const life = this.incarnation ?? this.#wake()
    simulation.enter(life)
    if (life.instance === undefined) {
      life.instance = this.world.make(this.kind, makeState(this, life))
    }
    if (life.isBlocked || life.isDraining) life.waiting.push(job)
    else this.#run(life, job)
  }

  #wake(): Incarnation {
    const { clockOffset, simulation } = this.world
    const name = `${this}#${++this.lives}`
    simulation.note(`wake ${name}`)
    const life = new Incarnation(this, name, this.random.fork(`life ${this.lives}`))
    life.clockOffset = clockOffset()
    return (this.incarnation = life)
  }

  #run(life: Incarnation, job: Job): void {
    const { simulation } = this.world
    simulation.note(`${life.name} ${job.label}`)
    const plan = this.crashPlan
    if (plan !== undefined) {
      this.crashPlan = undefined
      this.#plan(life, plan)
    }
    try {
      const result = job.run(life.instance!)
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(life, job, error))
    } catch (error) {
      this.#failed(life, job, error)
    }
  }

  #plan(life: Incarnation, { hop }: CrashPlan): void {
    const { simulation } = this.world
    const strike = (): void => {
      if (life.isAlive && this.incarnation === life) this.crash("planned")
    }
    if (hop === null) {
      simulation.schedule(0, strike)
      return
    }
    let left = hop
    const tick = (): void => {
      if (left-- > 0) queueMicrotask(tick)
      else if (simulation.current === life) {
        life.endTurn()
        strike()
      }
    }
    queueMicrotask(tick)
  }

  #failed(life: Incarnation, job: Job, error: unknown): void {
    if (life.isAlive) this.world.failed(this, job.label, error)
  }

  /** `blockConcurrencyWhile` of this life is over: what waited comes first, in its order. */
  unblock(life: Incarnation): void {
    life.isBlocked = false
    this.#drain(life)
  }

  #drain(life: Incarnation): void {
    life.isDraining = life.waiting.length > 0
    if (!life.isDraining) return
    this.world.simulation.schedule(
      0,
      () => {
        if (life.isBlocked) return
        this.#run(life, life.waiting.shift()!)
        this.#drain(life)
      },
      life,
    )
  }

  // -- writes

  /** The turn has written: some time later that is durable. */
  commit(turn: number): void {
    const { faults, simulation } = this.world
    const isSlow = this.random.chance(faults().slowCommit)
    const life = this.incarnation
    const delay = this.random.next() * (isSlow ? SLOW_COMMIT : COMMIT)
    this.#lastCommit = Math.max(this.#lastCommit, simulation.now + delay)
    simulation.at(
      this.#lastCommit,
      () => {
        if (this.incarnation !== life) return
        this.storage.confirm(turn)
        life?.committed(turn)
      },
      life,
    )
  }

  // -- ends of a life

  /** Memory goes, with what is not durable; all sockets close, and the object hears of none. */
  crash(cause: string): void {
    const { simulation } = this.world
    const life = this.incarnation
    const { storage } = this
    const kept = storage.lastTurn - this.random.below(storage.atRisk + 1)
    simulation.note(`crash ${this}`, `${cause}; turns lost: ${storage.lastTurn - kept}`)
    this.crashes++
    storage.crash(kept)
    this.incarnation = undefined
    this.alarm.ringing = null
    life?.die(kept, this.random)
    for (const socket of this.sockets) {
      socket.readyState = CLOSED
      socket.owner = undefined
      const late = this.random.chance(0.2)
      const notice = late ? {} : { client: this.random.delay(30, 3_000) }
      socket.wire?.cut(notice, this.random.pick([1006, 1012]))
    }
    this.sockets.clear()
    this.alarm.arm()
  }

  /** Memory goes, where nothing keeps it; sockets stay. Gives whether it did. */
  sleep(): boolean {
    const life = this.incarnation
    if (life === undefined || !life.isIdle || !this.storage.isDurable || this.alarm.ringing !== null)
      return false
    this.world.simulation.note(`sleep ${life.name}`)
    this.sleeps++
    life.isAlive = false
    this.incarnation = undefined
    return true
  }

  // -- sockets

  readonly output = (task: () => void): void => {
    const { current } = this.world.simulation
    // What a life does that is over is heard by nobody.
    if (current instanceof Incarnation && current.place === this) current.output(task)
  }

  readonly received = (socket: ServerSocket, frame: Frame): void => {
    if (!this.sockets.has(socket)) return
    const { simulation } = this.world
    if (this.autoResponse !== null && frame === this.autoResponse.request) {
      const { response } = this.autoResponse
      socket.autoAnsweredAt = new Date(EPOCH + simulation.now + this.world.clockOffset())
      if (socket.readyState === OPEN) socket.wire?.down((client) => client.received(response))
      return
    }
    this.dispatch({
      label: `message ${socket.wire?.name ?? ""} ${printable(frame)}`,
      run: (instance) => (this.sockets.has(socket) ? instance.webSocketMessage(socket, frame) : undefined),
      lost: () => {},
    })
  }

  readonly closed = (socket: ServerSocket, code: number, reason: string, wasClean: boolean): void => {
    if (!this.sockets.has(socket)) return
    this.dispatch({
      label: `close ${socket.wire?.name ?? ""} ${code}`,
      run: (instance) => {
        if (!this.sockets.has(socket)) return
        socket.readyState = Math.max(CLOSING, socket.readyState)
        try {
          if (wasClean || this.random.chance(0.5)) instance.webSocketClose(socket, code, reason, wasClean)
          else instance.webSocketError(socket, new Error("Network connection lost."))
        } finally {
          this.sockets.delete(socket)
        }
      },
      lost: () => {},
    })
  }
}
