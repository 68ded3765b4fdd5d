/**
 * Gateways, topics and the directory in one process, without a platform: each has its own SQLite and its
 * own memory, which it can lose; calls between them are copied, and arrive in an order that a seed decides
 * where nothing else does. One clock for all.
 */
import type { Address } from "@signal-hub/actor-core"
import { DirectoryCore } from "../../src/directory/DirectoryCore.ts"
import { GatewayCore } from "../../src/gateway/GatewayCore.ts"
import type { GatewayPort } from "../../src/hub/peers/PeersPort.ts"
import type { ServicePort } from "../../src/delivery/ServicePort.ts"
import {
  type ActorRpc,
  type Batch,
  CallFailed,
  type Kinds,
  type Outcome,
  type Remote,
} from "../../src/delivery/Rpc.ts"
import { TopicCore } from "../../src/topics/TopicCore.ts"
import { DIRECTORY, GATEWAY, TOPIC } from "../../src/object/Schema.ts"
import type { Schema } from "../../src/object/Tables.ts"
import { DEFAULT_LIMITS, type Limits } from "../../src/protocol/Limits.ts"
import type { TokenPayload } from "../../src/auth/Claims.ts"
import { TestTables } from "./TestTables.ts"
import type { TestClient } from "./TestClient.ts"
import { TestHub } from "./TestHub.ts"

/** A call as it goes over the wire. */
export interface Call {
  readonly from: string
  readonly kind: keyof Kinds
  readonly name: string
  readonly method: string
  readonly args: ReadonlyArray<unknown>
}

/**
 * What becomes of a call: it arrives, it fails, or nothing is ever heard of it; it arrives, and nothing is heard
 * of that (`unheard`), or its caller's wire breaks at once (`breaks`); it arrives when its caller has long
 * stopped waiting (`late`); it arrives, and once more behind what comes next (`twice`).
 */
export type Fate = "arrives" | CallFailed | "hangs" | "unheard" | "breaks" | "late" | "twice"

/** A hand-written actor. */
export type Backend = Partial<ActorRpc>

interface TestGateway {
  readonly hub: TestHub
  core: GatewayCore
}

interface TestNode<Core> {
  readonly host: ServicePort & { readonly sql: TestTables }
  core: Core
  alarmAt: number | null
}

interface Timer {
  readonly at: number
  readonly owner: string
  readonly task: () => void
}

export class TestSystem {
  readonly limits: Limits
  readonly gateways = new Map<string, TestGateway>()
  readonly directories = new Map<string, TestNode<DirectoryCore>>()
  readonly topics = new Map<string, TestNode<TopicCore>>()
  /** Actors beside gateways, by their addresses. */
  readonly backends = new Map<string, Backend>()
  /** Every call that was made. */
  /** Calls in flight and what waits for the end of an event, and of which life of whose. */
  readonly #calling = new Set<{ readonly from: string; readonly life: unknown }>()
  readonly calls: Array<Call> = []
  /** Decides over each call. */
  fate: (call: Call) => Fate = () => "arrives"
  readonly #random: () => number
  #tasks: Array<() => void> = []
  /** Calls and results on their way, by who sends them to whom: those are in order. */
  readonly #wires = new Map<string, Array<() => void>>()
  #timers: Array<Timer> = []
  #now = new TestHub().now()
  #tokens = false
  #isSettling = false
  /** Gateways that have something stored. */
  /** How often an object has lost its memory, by its name. */
  readonly #lives = new Map<string, number>()

  constructor(limits: Partial<Limits> = {}, seed = 1) {
    this.limits = { ...DEFAULT_LIMITS, sweepInterval: 600_000, ...limits }
    let state = seed
    this.#random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state / 2_147_483_648
    }
  }

  readonly now = (): number => this.#now

  /** From now on nobody enters without a token. Before the first gateway is made. */
  requireTokens(): this {
    this.#tokens = true
    return this
  }

  gateway(identity: string): TestHub {
    return this.#gateway(identity).hub
  }

  /** Opens a socket to the identity's gateway, without connecting. */
  open(identity: string, token: TokenPayload | null = null): TestClient {
    return this.gateway(identity).open(token)
  }

  connect(identity: string, metadata: { readonly [key: string]: unknown } = {}): TestClient {
    const client = this.open(identity)
    client.connect(identity, metadata)
    client.identity = identity
    return client
  }

  /** A verified token enters, as its identity. */
  enter(
    token: TokenPayload & { readonly actorId: string },
    metadata: { readonly [key: string]: unknown } = {},
  ): TestClient {
    const identity = token.actorId.startsWith("@(") ? token.actorId : `@(${token.actorId})`
    const client = this.open(identity, token)
    client.connect(undefined, metadata)
    client.identity = identity
    return client
  }

  /** Runs everything that is under way to its end. */
  readonly settle = (): void => {
    if (this.#isSettling) return
    this.#isSettling = true
    try {
      for (let steps = 0; ; steps++) {
        if (steps > 200_000) throw new Error("objects call one another without end")
        if (!this.step()) break
      }
      for (const identity of this.gateways.keys()) this.#tidy(identity)
    } finally {
      this.#isSettling = false
    }
  }

  /** Runs one thing that is under way. Gives whether there was one. */
  step(): boolean {
    const task = this.#tasks.shift()
    if (task === undefined) return this.#deliverOne()
    task()
    return true
  }

  /** Moves the clock, running what falls due on the way. */
  advance(milliseconds: number): void {
    const until = this.#now + milliseconds
    while (this.#now < until) {
      const due = Math.min(...this.#timers.map(({ at }) => at), ...this.#alarms(), until)
      const step = Math.max(Math.min(due, until) - this.#now, 1)
      this.#now += step
      for (const { hub } of this.gateways.values()) {
        hub.advance(step)
        this.settle()
      }
      const over = this.#timers.filter(({ at }) => at <= this.#now)
      this.#timers = this.#timers.filter(({ at }) => at > this.#now)
      for (const { task } of over) task()
      for (const node of [...this.directories.values(), ...this.topics.values()]) {
        if (node.alarmAt === null || node.alarmAt > this.#now) continue
        node.alarmAt = null
        node.core.alarm()
      }
      this.settle()
    }
  }

  /** Every object loses its memory, unless a timer or a call holds it up. Gives how many did. */
  evictAll(): number {
    let evicted = 0
    for (const [identity, { hub }] of this.gateways) {
      // A call holds up an eviction, too: it has a timer.
      if (hub.isBusy || this.#underWay(identity)) continue
      // Before the next memory begins: what that defers is its own.
      this.#lose(identity)
      hub.evict()
      evicted++
    }
    const isBusy = (name: string): boolean => this.#timers.some(({ owner }) => owner === name)
    for (const [name, node] of this.directories) {
      if (isBusy(name)) continue
      this.#lose(name)
      node.core = new DirectoryCore(node.host)
      evicted++
    }
    for (const [name, node] of this.topics) {
      if (isBusy(name)) continue
      this.#lose(name)
      node.core = new TopicCore(node.host)
      evicted++
    }
    return evicted
  }

  /** The identity's gateway crashes: its memory, timers and sockets are gone. */
  crash(identity: string): void {
    this.#lose(identity)
    this.gateway(identity).crash()
  }

  /** Whether a call of this memory's is in flight, or an event of it not over. */
  #underWay(name: string): boolean {
    const life = this.#lives.get(name)
    return [...this.#calling].some((one) => one.from === name && one.life === life)
  }

  /** What crosses between objects is copied, at its time. */
  remoteFor(from: string): Remote["call"] {
    return (kind, name, method, args, _repeat, done) => {
      const call: Call = { from, kind, name, method: String(method), args: structuredClone([...args]) }
      const life = this.#lives.get(from)
      const calling = { from, life }
      this.#calling.add(calling)
      const answer = (result: unknown): void => {
        const copy = result instanceof CallFailed ? result : structuredClone(result)
        this.#wire(`${kind}:${name} > ${from}`, () => {
          // Who lost its memory meanwhile has forgotten that it asked.
          this.#calling.delete(calling)
          if (this.#lives.get(from) !== life) return
          done(copy as never)
          this.gateways.get(from)?.hub.flush()
        })
      }
      this.calls.push(call)
      const fate = this.fate(call)
      if (fate instanceof CallFailed) return answer(fate)
      const after = (milliseconds: number, task: () => void): void =>
        void this.#timers.push({ at: this.#now + milliseconds, owner: from, task })
      const arrive = (answer: (result: unknown) => void): void =>
        this.#wire(`${from} > ${kind}:${name}`, () => this.#invoke(call, answer))
      const unheard = (): void => {}
      if (fate === "hangs" || fate === "unheard" || fate === "late") {
        const late = new CallFailed("timeout", `${name} did not take it in time`)
        after(this.limits.callTimeout, () => answer(late))
      }
      if (fate === "late") after(2 * this.limits.callTimeout, () => arrive(unheard))
      if (fate === "unheard") arrive(unheard)
      if (fate === "breaks") arrive(() => answer(new CallFailed("actor_terminated", `${name} went away`)))
      if (fate === "arrives" || fate === "twice") arrive(answer)
      if (fate === "twice") after(1_500, () => arrive(unheard))
    }
  }

  #gateway(identity: string): TestGateway {
    const known = this.gateways.get(identity)
    if (known !== undefined) return known
    let latest: GatewayCore | undefined
    const hub = new TestHub(
      this.limits,
      (host) => {
        const gatewayHost: GatewayPort = {
          sql: host.sql,
          limits: host.limits,
          connection: host.connection,
          connections: host.connections,
          armedAt: host.armedAt,
          setAlarm: host.setAlarm,
          later: host.later,
          soon: host.soon,
          get authenticate() {
            return host.authenticate
          },
          name: identity,
          hubName: host.hubName,
          forget: host.forget,
          now: host.now,
          log: host.log,
          logsDebug: host.logsDebug,
          identity: identity as Address.Address,
          isIdentity: (address) => !this.backends.has(address),
          defer: this.#defer(identity),
          call: this.remoteFor(identity),
        }
        const core = new GatewayCore(gatewayHost)
        latest = core
        const made = this.gateways.get(identity)
        if (made !== undefined) made.core = core
        return core.hub
      },
      GATEWAY,
    )
    if (this.#tokens) hub.requireTokens()
    // Its clock began when it was made.
    hub.advance(this.#now - hub.now())
    hub.afterwards = this.settle
    const gateway = { hub, core: latest! }
    this.gateways.set(identity, gateway)
    return gateway
  }

  #invoke(call: Call, answer: (result: unknown) => void): void {
    const { args, kind, method, name } = call
    if (kind === "address") return this.#invokeAddress(call, answer)
    const core = kind === "topic" ? this.#topic(name).core : this.#directory(name).core
    const callback = CALLBACK.has(`${kind}.${method}`)
    const target = core as unknown as { readonly [method: string]: (...args: Array<unknown>) => unknown }
    if (callback) target[method]!(...args, answer)
    else answer(target[method]!(...args))
  }

  #invokeAddress({ args, method, name }: Call, answer: (result: unknown) => void): void {
    const backend = this.backends.get(name)
    if (backend !== undefined) {
      const implemented = backend[method as keyof Backend] as
        | ((...args: Array<unknown>) => unknown)
        | undefined
      if (implemented === undefined) return answer(method === "hasSession")
      try {
        const given = implemented(...args)
        if (!(given instanceof Promise)) return answer(given)
        throw new Error("backends of this system answer at once")
      } catch (error) {
        return answer(new CallFailed("actor_failed", `${name} failed on it: ${typeof error}`))
      }
    }
    const { core, hub } = this.#gateway(name)
    const target = core as unknown as { readonly [method: string]: (...args: Array<unknown>) => unknown }
    answer(target[method]!(...args))
    hub.flush()
  }

  #topic(name: string): TestNode<TopicCore> {
    let node = this.topics.get(name)
    if (node === undefined) {
      const host = this.#nodeHost(name, TOPIC, (at) => {
        const known = this.topics.get(name)
        if (known !== undefined) known.alarmAt = at
      })
      this.topics.set(name, (node = { host, core: new TopicCore(host), alarmAt: null }))
    }
    return node
  }

  #directory(name: string): TestNode<DirectoryCore> {
    const known = this.directories.get(name)
    if (known !== undefined) return known
    const host = this.#nodeHost(name, DIRECTORY, (at) => void (node.alarmAt = at))
    const node: TestNode<DirectoryCore> = { host, core: new DirectoryCore(host), alarmAt: null }
    this.directories.set(name, node)
    return node
  }

  #nodeHost(
    name: string,
    schema: Schema,
    setAlarm: (at: number | null) => void,
  ): ServicePort & { readonly sql: TestTables } {
    const sql = new TestTables(schema)
    return {
      name,
      sql,
      forget: () => sql.wipe(),
      limits: this.limits,
      now: this.now,
      setAlarm,
      later: (milliseconds, task) => {
        const timer = { at: this.#now + milliseconds, owner: name, task }
        this.#timers.push(timer)
        return () => void (this.#timers = this.#timers.filter((other) => other !== timer))
      },
      defer: this.#defer(name),
      call: this.remoteFor(name),
      armedAt: (done) => done(null),
      log: () => {},
      logsDebug: false,
    }
  }

  #defer(name: string): (task: () => void) => void {
    return (task) => {
      const life = this.#lives.get(name)
      const waiting = { from: name, life }
      this.#calling.add(waiting)
      this.#tasks.push(() => {
        this.#calling.delete(waiting)
        if (this.#lives.get(name) !== life) return
        task()
        this.gateways.get(name)?.hub.flush()
      })
    }
  }

  /** A gateway that nobody needs keeps nothing: as its shell has it. */
  #tidy(identity: string): void {
    const { core, hub } = this.#gateway(identity)
    if (hub.isForgotten || core.hasSession() || !hub.isQuiet) return
    if (this.#timers.some(({ owner }) => owner === identity) || !core.isEmpty) return
    hub.forget()
  }

  #lose(name: string): void {
    this.#lives.set(name, (this.#lives.get(name) ?? 0) + 1)
  }

  #wire(name: string, arrive: () => void): void {
    const wire = this.#wires.get(name)
    if (wire === undefined) this.#wires.set(name, [arrive])
    else wire.push(arrive)
  }

  /** Whatever is next on one of the wires arrives. */
  #deliverOne(): boolean {
    if (this.#wires.size === 0) return false
    const names = [...this.#wires.keys()]
    const name = names[Math.floor(this.#random() * names.length)]!
    const wire = this.#wires.get(name)!
    const arrive = wire.shift()!
    if (wire.length === 0) this.#wires.delete(name)
    arrive()
    return true
  }

  #alarms(): ReadonlyArray<number> {
    const gateways = [...this.gateways.values()].map(({ hub }) => hub)
    return [...this.directories.values(), ...this.topics.values(), ...gateways].flatMap(
      ({ alarmAt }) => alarmAt ?? [],
    )
  }
}

/** Methods of cores that tell their result to a callback. */
const CALLBACK: ReadonlySet<string> = new Set([
  "topic.apply",
  "topic.members",
  "directory.page",
  "directory.broadcast",
  "directory.claim",
])

/** A backend that takes each delivery by a function. */
export const backend = (take: (delivery: Batch["deliveries"][number], batch: Batch) => Outcome): Backend => ({
  deliver: ((batch: Batch) => batch.deliveries.map((delivery) => take(delivery, batch))) as never,
})
