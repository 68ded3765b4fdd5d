/**
 * The connection over all its sockets: one attempt after another, never two at once, as the verdicts on
 * their ends say. One fiber, so that nothing can open a second socket beside the first.
 */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { CloseCode } from "../protocol/CloseCode.ts"
import { DEFAULT_HEARTBEAT_INTERVAL } from "../protocol/Limits.ts"
import { runAttempt } from "./Attempt.ts"
import type { Channel } from "./Channel.ts"
import { ConnectTurn } from "./ConnectTurn.ts"
import { ConnectFailed, type LoginRequired } from "./ClientError.ts"
import { Emitter } from "./Emitter.ts"
import type { Heartbeat } from "./Heartbeat.ts"
import type { ClientOptions } from "./Options.ts"
import { HELD, makeBackoff, reconnectSchedule } from "./Reconnect.ts"
import type { ConnectionState, Health, HubSession } from "./State.ts"
import { type Moment, momentOf, passedSince, waitAtMost, type Timers } from "./Timers.ts"
import { DRAIN_INTERVAL } from "./Sender.ts"
import { makeFetchToken } from "./Token.ts"
import { listenForPageEnd, listenForWakeups, platformWakeups, watchClocks } from "./Wakeups.ts"

/** Milliseconds that the hub may take to answer `hub:disconnect`. */
const CLOSE_TIMEOUT = 1_000
/** Least milliseconds between attempts that wake-ups cause: one waking fires several events. */
const WAKE_SPACING = 1_000
/** Silence of a heartbeat and this many milliseconds makes a connection doubtful. */
const SILENCE_SLACK = 10_000

export interface Connection {
  readonly state: () => ConnectionState
  readonly states: Emitter<ConnectionState>
  readonly health: () => Health
  readonly healths: Emitter<Health>
  /** The session, as soon as there is one; fails where there will be none. `first` fails at the first failure. */
  readonly ready: (first: boolean) => Effect.Effect<HubSession, ConnectFailed>
  /** After 4409: takes the identity back, putting the other connection out. Else nothing. */
  readonly reclaim: () => void
  /** Sends what may leave, says goodbye, waits for the answer at most a second, and ends for good. */
  readonly close: Effect.Effect<void>
}

/** True at 1, 2, 4, 8 and so on: of attempts that go on for ever, ever fewer are logged. */
const isPowerOfTwo = (count: number): boolean => count > 0 && Number.isInteger(Math.log2(count))

/** The URL as it may be logged. */
const withoutQuery = (url: string | URL): string => {
  const { host, pathname, protocol } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** Connects, and stays connected until the scope closes. */
export const makeConnection = (
  channel: Channel,
  timers: Timers,
  client: ClientOptions,
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const token = typeof client.token === "function" ? makeFetchToken(client.token, timers) : client.token
    const turn = new ConnectTurn(client.url, client.identity, token, timers)
    const backoff = makeBackoff(client.schedule ?? reconnectSchedule)
    const states = new Emitter<ConnectionState>()
    const healths = new Emitter<Health>()
    /** Ends the wait for the next attempt. */
    let wake = (): void => {}
    /** Ends the wait after 4409. */
    let reclaim = (): void => {}
    let state: ConnectionState = { status: "connecting", attempts: 0 }
    let heartbeat: Heartbeat | undefined
    let lastHeard: Moment | null = null
    /** Looks at the clocks while there is a connection, or one is tried for. */
    const looks = new Emitter<boolean>()
    let stopLooking = (): void => {}
    let closing = false

    const health = (): Health => {
      const silence = lastHeard === null ? 0 : passedSince(timers, lastHeard)
      const allowed = state.status === "connected" ? state.session.heartbeatInterval + SILENCE_SLACK : 0
      return {
        status:
          state.status !== "connected"
            ? "unhealthy"
            : heartbeat?.doubtful === true || silence > allowed
              ? "degraded"
              : "healthy",
        state: state.status,
        roundTripMs: heartbeat?.roundTripMs ?? null,
        lastHeardAt: lastHeard?.wall ?? null,
        attempts: backoff.attempts(),
        code: "code" in state ? state.code : null,
        cause: "cause" in state ? state.cause : null,
      }
    }
    const heartbeatInterval = (): number =>
      state.status === "connected" ? state.session.heartbeatInterval : DEFAULT_HEARTBEAT_INTERVAL
    const onLook = (hasSlept: boolean): void => {
      looks.emit(hasSlept)
      if (!hasSlept) return
      wake()
      healths.emit(health())
    }
    /** Looks at the clocks from now on, unless nothing is to be connected. */
    const look = (): void => {
      stopLooking()
      const isOver = state.status === "superseded" || state.status === "disconnected"
      stopLooking = isOver ? () => {} : watchClocks(timers, heartbeatInterval, onLook)
    }
    const enter = (next: ConnectionState): void => {
      state = next
      look()
      states.emit(next)
      healths.emit(health())
    }
    const finish = (code: number, cause: string, error?: LoginRequired): void => {
      if (state.status === "disconnected") return
      const undelivered: ReadonlyArray<Envelope.Envelope> = channel.stop(
        `the client is disconnected: ${cause}`,
      )
      const attempts = backoff.attempts()
      enter({ status: "disconnected", attempts, code, cause, undelivered, ...(error && { error }) })
      // Nothing can wake it any more.
      stopListening()
      channel.ended.emit()
    }

    look()

    const { journal } = channel
    const loop = Effect.gen(function* () {
      let reclaiming = client.reclaim === true
      let refused = false
      /** Attempts in a row that the hub has not accepted. */
      let failures = 0
      for (;;) {
        const startedAt = timers.now()
        const taken = journal && (yield* Effect.promise(() => journal.lost()))
        const ended =
          taken ??
          (yield* runAttempt(
            {
              client,
              channel,
              timers,
              token,
              turn,
              onConnected: (session, beat) => {
                turn.end()
                heartbeat = beat
                enter({ status: "connected", attempts: 0, session })
              },
              onHeard: () => {
                lastHeard = momentOf(timers)
              },
              looks,
              onBeat: () => healths.emit(health()),
            },
            { reclaim: reclaiming, refused },
          ))
        turn.end()
        heartbeat = undefined
        if (closing) return
        const { code, cause, connectedAt } = ended
        failures = connectedAt === undefined ? failures + 1 : 0
        if (connectedAt !== undefined) {
          reclaiming = false
          refused = false
          if (timers.now() - connectedAt >= HELD) backoff.reset()
        }
        let { verdict } = ended
        if (verdict === "refresh-token") {
          // A token that is none of a provider's stays what it is, and a fresh one was just refused.
          if (refused || typeof token !== "function") verdict = "stay-away"
          refused = true
        }
        if (verdict === "stay-away") return finish(code, cause, ended.error)
        if (verdict === "superseded") {
          channel.session.lose("superseded")
          channel.refuse("superseded by another connection of this identity: reclaim() takes it back")
          yield* Effect.callback<void>((resume) => {
            reclaim = () => resume(Effect.void)
            enter({ status: "superseded", attempts: backoff.attempts(), code, cause })
          })
          if (journal) yield* Effect.promise(() => journal.retake())
          channel.refuse(undefined)
          reclaiming = true
          backoff.reset()
          enter({ status: "reconnecting", attempts: 0, retryInMs: 0, code, cause })
          continue
        }
        const delay = yield* backoff.next
        if (delay === undefined) return finish(code, `the retry schedule has ended; last: ${cause}`)
        const floor = verdict === "retry-after" ? (ended.retryAfterMs ?? 1_000) : 0
        const attempts = backoff.attempts()
        const earliest = Math.max(startedAt + WAKE_SPACING, timers.now() + floor)
        yield* waitAtMost(timers, floor + delay, (done) => {
          let disarm = (): void => {}
          wake = () => {
            disarm()
            disarm = timers.after(Math.max(0, earliest - timers.now()), done)
          }
          enter({ status: "reconnecting", attempts, retryInMs: floor + delay, code, cause })
          return () => {
            wake = () => {}
            disarm()
          }
        })
        // A token that has expired is replaced, which is no news.
        if (isPowerOfTwo(failures) && verdict !== "refresh-token") {
          const hub = withoutQuery(client.url)
          yield* Effect.logWarning(
            `not connected to ${hub} after ${failures} attempt(s), trying again: ${cause} (${code})`,
          )
        }
        enter({ status: "reconnecting", attempts, retryInMs: 0, code, cause })
      }
    })

    const stopWakeups = listenForWakeups(client.wakeups ?? platformWakeups(), () => {
      // What the next look would say is said already.
      look()
      if (heartbeat === undefined) wake()
      else {
        healths.emit(health())
        heartbeat.probe()
      }
    })
    // The next page takes a stored session up; of any other one nothing is to stay present.
    const stopPageEnd = journal === undefined ? listenForPageEnd(() => channel.sayGoodbye()) : (): void => {}
    const stopListening = (): void => {
      stopWakeups()
      stopPageEnd()
    }
    const fiber = yield* Effect.forkScoped(loop, { startImmediately: true })

    /** Until when acknowledgments, and the hub's word on its progress, are waited for. */
    let patience: number | undefined
    let handled = 0
    const goodbye: Effect.Effect<unknown> = Effect.suspend(() => {
      if (state.status !== "connected") return Effect.void
      const { draining, isStalled, unacknowledged } = channel.sender
      if (handled !== channel.sender.handled) patience = undefined
      handled = channel.sender.handled
      const goesOn = draining && !isStalled
      if (!goesOn) patience ??= timers.now() + CLOSE_TIMEOUT
      if (goesOn || ((draining || !unacknowledged.isEmpty) && timers.now() < patience!)) {
        return Effect.andThen(Effect.sleep(DRAIN_INTERVAL), goodbye)
      }
      channel.request("hub:disconnect", {}, () => {})
      return waitAtMost(timers, CLOSE_TIMEOUT, (done) => fiber.addObserver(done))
    })
    const close = Effect.uninterruptible(
      Effect.suspend(() => {
        if (closing) return Effect.asVoid(Fiber.await(fiber))
        closing = true
        channel.inbox.close()
        stopListening()
        return Effect.andThen(
          Effect.andThen(goodbye, Fiber.interrupt(fiber)),
          Effect.promise(async () => {
            turn.end()
            finish(CloseCode.Normal, "closed by this client")
            await journal?.lost()
          }),
        )
      }),
    )
    yield* Effect.addFinalizer(() => close)

    const ready = (first: boolean): Effect.Effect<HubSession, ConnectFailed> =>
      Effect.callback((resume) => {
        const look = (now: ConnectionState): void => {
          if (now.status === "connecting") return
          const retries = now.status === "reconnecting" && (!first || now.code === CloseCode.Unauthorized)
          if (retries) return
          off()
          if (now.status === "connected") return resume(Effect.succeed(now.session))
          const cause = now.status === "disconnected" ? now.error : undefined
          const message = `not connected: ${now.cause}`
          resume(Effect.fail(new ConnectFailed({ code: now.code, message, ...(cause && { cause }) })))
        }
        const off = states.on(look)
        look(state)
        return Effect.sync(off)
      })

    return {
      state: () => state,
      states,
      health,
      healths,
      ready,
      reclaim: () => reclaim(),
      close,
    }
  })
