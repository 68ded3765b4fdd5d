/**
 * A life as data: who there is, how bad the platform is, and each step with its time. Made from the seed
 * alone. A step that is left out changes the time of no other.
 */
import { CALM, type Faults } from "../platform/Faults.ts"
import { Random } from "../platform/Random.ts"

export type Answering = "at once" | "late" | "never"

type Do =
  | {
      readonly do: "connect"
      readonly expiry: number
      readonly codec: "json" | "msgpack"
      readonly tokenLife: number
      /** Whether it keeps its session on a disk, for the next process. */
      readonly stores: boolean
      /** Who takes its messages: a listener, or an actor that it serves. */
      readonly takes: "listener" | "actor"
      /** How long each of its processes is connected, in milliseconds, before there is one; `null`: at once. */
      readonly takesAfter: number | null
    }
  | { readonly do: "kill"; readonly isSeen: boolean }
  | { readonly do: "restart"; readonly isSeen: boolean; readonly after: number }
  | { readonly do: "close" }
  | { readonly do: "reclaim" }
  | { readonly do: "tell"; readonly to: number; readonly count: number; readonly reliable: boolean }
  | {
      readonly do: "stream"
      readonly to: number
      readonly count: number
      readonly every: number
      readonly cutAfter: number | null
    }
  | {
      readonly do: "ask"
      readonly to: number
      readonly timeout: number
      readonly answering: Answering
      readonly abortAfter: number | null
    }
  | { readonly do: "subscribe"; readonly topic: string }
  | { readonly do: "unsubscribe"; readonly topic: string }
  | { readonly do: "publish"; readonly topic: string }
  | { readonly do: "register"; readonly name: string; readonly ttl: number }
  | { readonly do: "unregister"; readonly name: string }
  | { readonly do: "watch"; readonly to: number }
  | { readonly do: "cut"; readonly client: boolean; readonly server: boolean }
  | { readonly do: "hold"; readonly direction: "up" | "down"; readonly ms: number }
  | { readonly do: "offline"; readonly ms: number }
  | { readonly do: "crash"; readonly object: number; readonly hop: number | null }
  | { readonly do: "crashNow"; readonly object: number }
  | { readonly do: "sleep" }
  | { readonly do: "deploy" }
  | { readonly do: "jump"; readonly ms: number; readonly isPlatform: boolean }

/** `who`: the identity that does it, by its index, where it is somebody's. */
export type Step = Do & { readonly at: number; readonly who: number }

export interface Plan {
  readonly seed: number
  readonly topology: "hub" | "gateway"
  readonly auth: "open" | "token"
  readonly identities: ReadonlyArray<string>
  /** Whether bounds are soon reached. */
  readonly isTight: boolean
  readonly faults: Faults
  readonly steps: ReadonlyArray<Step>
}

const TOPICS = ["news", "room/1"] as const
const EXTRA = ["@(room/1)", "@(room/2)"] as const
const NAMES = ["ada", "bob", "cyd", "dan"] as const

const WEIGHTS: { readonly [name in Do["do"]]: number } = {
  connect: 6,
  kill: 3,
  restart: 4,
  close: 1,
  reclaim: 2,
  tell: 30,
  stream: 3,
  ask: 14,
  subscribe: 4,
  unsubscribe: 1,
  publish: 6,
  register: 3,
  unregister: 1,
  watch: 4,
  cut: 7,
  hold: 5,
  offline: 3,
  crash: 7,
  crashNow: 2,
  sleep: 6,
  deploy: 1,
  jump: 1,
}

export const makePlan = (seed: number, length: number): Plan => {
  const random = new Random(`plan ${seed}`)
  const topology = random.chance(0.35) ? "gateway" : "hub"
  const identities = NAMES.slice(0, 2 + random.below(3)).map((name) => `@(user/${name})`)
  const faults = random.chance(0.25) ? CALM : makeFaults(random)
  // What this life has much of, and what it has none of.
  const weights = { ...WEIGHTS }
  for (const name of Object.keys(weights) as Array<Do["do"]>) {
    const luck = random.next()
    if (luck < 0.2 && name !== "tell" && name !== "connect") weights[name] = 0
    else if (luck > 0.85) weights[name] *= 4
  }
  const pace = random.pick([30, 300, 3_000])
  const steps: Array<Step> = identities.map((_, who) => ({ at: who * 5, who, ...connect(random) }))
  let at = 200
  for (let i = 0; i < length; i++) {
    at += random.chance(0.05) ? random.next() * 60_000 : random.next() * pace
    const who = random.below(identities.length)
    steps.push({ at: Math.round(at * 100) / 100, who, ...makeStep(random, weights, identities.length) })
  }
  const auth = random.pick(["open", "token"] as const)
  return { seed, topology, auth, identities, isTight: random.chance(0.4), faults, steps }
}

const makeFaults = (random: Random): Faults => ({
  upgrade: random.next() * 0.3,
  call: random.chance(0.5) ? random.next() * 0.1 : 0,
  overload: random.chance(0.2) ? random.next() * 0.05 : 0,
  alarmLate: random.next() * 0.5,
  alarmTwice: random.next() * 0.3,
  slowCommit: random.next() * 0.2,
  sleep: random.pick([0, 0, 0.3, 1]),
})

const connect = (random: Random): Extract<Do, { do: "connect" }> => ({
  do: "connect",
  expiry: random.pick([0, 5, 60, 60, 600]),
  codec: random.pick(["json", "json", "msgpack"]),
  tokenLife: random.pick([5, 60, 3_600, 3_600]),
  stores: random.chance(0.5),
  takes: random.pick(["listener", "listener", "actor"]),
  takesAfter: random.pick([null, null, 5, 400, 4_000]),
})

const makeStep = (
  random: Random,
  weights: { readonly [name in Do["do"]]: number },
  identities: number,
): Do => {
  const kind = random.weighted(weights)
  const to = random.below(identities)
  switch (kind) {
    case "connect":
      return connect(random)
    case "kill":
      return { do: kind, isSeen: random.chance(0.6) }
    case "restart":
      return { do: kind, isSeen: random.chance(0.6), after: random.pick([5, 300, 8_000]) }
    case "close":
    case "reclaim":
    case "sleep":
    case "deploy":
      return { do: kind }
    case "tell":
      return {
        do: kind,
        to,
        count: random.chance(0.1) ? 30 : 1 + random.below(4),
        reliable: random.chance(0.7),
      }
    case "stream":
      return {
        do: kind,
        to,
        count: 20 + random.below(60),
        every: random.pick([5, 10, 40]),
        cutAfter: random.chance(0.6) ? random.next() * 300 : null,
      }
    case "ask":
      return {
        do: kind,
        to,
        timeout: random.pick([300, 5_000, 20_000]),
        answering: random.pick(["at once", "at once", "late", "never"]),
        abortAfter: random.chance(0.15) ? random.next() * 2_000 : null,
      }
    case "subscribe":
    case "unsubscribe":
    case "publish":
      return { do: kind, topic: random.pick(TOPICS) }
    case "register":
      return { do: kind, name: random.pick(EXTRA), ttl: random.pick([10, 300]) }
    case "unregister":
      return { do: kind, name: random.pick(EXTRA) }
    case "watch":
      return { do: kind, to }
    case "cut":
      return { do: kind, client: random.chance(0.7), server: random.chance(0.6) }
    case "hold":
      return { do: kind, direction: random.pick(["up", "down"]), ms: random.pick([100, 3_000, 20_000]) }
    case "offline":
      return { do: kind, ms: random.pick([1_000, 10_000, 70_000]) }
    case "crash":
      return { do: kind, object: random.below(100), hop: random.chance(0.5) ? random.below(6) : null }
    case "crashNow":
      return { do: kind, object: random.below(100) }
    case "jump":
      return random.chance(0.7)
        ? { do: kind, ms: random.pick([-3_600_000, -60_000, -2_000, 1_500, 40_000]), isPlatform: true }
        : { do: kind, ms: random.pick([-3_600_000, -60_000, 1_500, 40_000, 3_600_000]), isPlatform: false }
  }
}
