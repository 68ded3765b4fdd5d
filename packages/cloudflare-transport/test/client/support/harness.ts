/** Clients on a scripted network, under the test clock. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import {
  HubClient,
  type ClientOptions,
  type ConnectionState,
  type SessionEvent,
} from "../../../src/client/index.ts"
import { FakeNetwork, FakePage } from "./FakeNetwork.ts"
import { ReliableHub } from "./ReliableHub.ts"

/** Lets everything run that needs no time to pass. */
export const settle: Effect.Effect<void> = Effect.promise(async () => {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((next) => void setImmediate(next))
})

/** Time passes, and what it sets off runs. */
export const pass = (ms: number): Effect.Effect<void> =>
  Effect.andThen(Effect.andThen(settle, TestClock.adjust(ms)), settle)

/** Chance is the same in every run: a retry that is drawn at 0 ms, one in 500, comes before a test expects it. */
const evenly = Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 0 })

const EVENTS = ["online", "pageshow", "visibilitychange"]

/** A client whose first attempt has begun. */
export const begin = (options: Partial<ClientOptions> = {}) =>
  Effect.gen(function* () {
    const network = new FakeNetwork()
    const page = new FakePage()
    const client = yield* HubClient.make({
      url: "https://hub.test/ws",
      webSocket: network.open,
      wakeups: EVENTS.map((event) => ({ target: page, event })),
      ...options,
    }).pipe(evenly)
    yield* settle
    const state: () => ConnectionState = () => Effect.runSync(client.state)
    return { client, network, page, state }
  })

/** A client that is connected. */
export const start = (options: Partial<ClientOptions> = {}) =>
  Effect.gen(function* () {
    const made = yield* begin(options)
    made.network.last.open()
    yield* settle
    return made
  })

/** Runs it beside the test. */
export const run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tap(Effect.forkScoped(effect), () => settle)

/** How a fiber that runs beside the test has failed, or what it has come to; `"waiting"` while it runs. */
export const outcome = <A, E>(fiber: Fiber.Fiber<A, E>): A | E | "waiting" => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return "waiting"
  if (exit._tag === "Success") return exit.value
  const reason = exit.cause.reasons.find((each) => each._tag === "Fail")
  if (reason === undefined) throw new Error("neither a value nor a typed failure")
  return reason.error
}

/** A client that is connected to a hub that resumes its session. */
export const startReliable = (options: Partial<ClientOptions> = {}) =>
  Effect.gen(function* () {
    const network = new FakeNetwork()
    const hub = new ReliableHub(network)
    const client = yield* HubClient.make({
      url: "https://hub.test/ws",
      webSocket: network.open,
      wakeups: [],
      schedule: Schedule.spaced(250),
      ...options,
    }).pipe(evenly)
    // The end of a test waits for no acknowledgments, as no time passes by then.
    yield* Effect.addFinalizer(() => Effect.sync(() => network.last.drop()))
    const events: Array<SessionEvent> = []
    yield* Effect.forkScoped(
      Stream.runForEach(client.sessions, (event) => Effect.sync(() => void events.push(event))),
    )
    yield* settle
    network.last.open()
    yield* settle
    const state: () => ConnectionState = () => Effect.runSync(client.state)
    /** The connection is lost, with what was on its way; the next one is opened. */
    const reconnect = (code = 1006): Effect.Effect<void> =>
      Effect.gen(function* () {
        network.last.drop(code)
        yield* pass(250)
        network.last.open()
        yield* settle
      })
    return { client, events, hub, network, reconnect, state }
  })
