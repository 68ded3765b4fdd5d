/**
 * The connection over all its sockets: one attempt after another, never two at once, as the verdicts on
 * their ends say. One fiber, so that nothing can open a second socket beside the first.
 */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { CloseCode, verdictOf } from "../protocol/CloseCode.ts"
import { runAttempt } from "./Attempt.ts"
import type { Channel } from "./Channel.ts"
import { ConnectFailed } from "./ClientError.ts"
import { Emitter } from "./Emitter.ts"
import type { Heartbeat } from "./Heartbeat.ts"
import type { ClientOptions } from "./Options.ts"
import { HELD, makeBackoff, reconnectSchedule } from "./Reconnect.ts"
import type { ConnectionState, Health, HubSession } from "./State.ts"
import { waitAtMost, type Timers } from "./Timers.ts"
import { DRAIN_INTERVAL } from "./Sender.ts"
import { makeFetchToken } from "./Token.ts"
import { listenForWakeups, platformWakeups } from "./Wakeups.ts"

/** Milliseconds that the hub may take to answer `hub:disconnect`. */
export const CLOSE_TIMEOUT = 1_000
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

/** Connects, and stays connected until the scope closes. */
export const makeConnection = (
  channel: Channel,
  timers: Timers,
  client: ClientOptions,
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const token = typeof client.token === "function" ? makeFetchToken(client.token, timers) : client.token
    const backoff = makeBackoff(client.schedule ?? reconnectSchedule)
    const states = new Emitter<ConnectionState>()
    const healths = new Emitter<Health>()
    /** Ends the wait for the next attempt. */
    let wake = (): void => {}
    /** Ends the wait after 4409. */
    let reclaim = (): void => {}
    let state: ConnectionState = { status: "connecting", attempts: 0 }
    let heartbeat: Heartbeat | undefined
    let lastHeardAt: number | null = null
    let closing = false

    const health = (): Health => {
      const silence = state.status === "connected" ? timers.now() - (lastHeardAt ?? 0) : 0
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
        lastHeardAt,
        attempts: backoff.attempts(),
      }
    }
    const enter = (next: ConnectionState): void => {
      state = next
      states.emit(next)
      healths.emit(health())
    }
    const finish = (code: number, cause: string): void => {
      if (state.status === "disconnected") return
      const undelivered: ReadonlyArray<Envelope.Envelope> = channel.stop(
        `the client is disconnected: ${cause}`,
      )
      enter({ status: "disconnected", attempts: backoff.attempts(), code, cause, undelivered })
      channel.ended.emit()
    }

    const { journal } = channel
    const loop = Effect.gen(function* () {
      let reclaiming = client.reclaim === true
      let refused = false
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
              onConnected: (session, beat) => {
                heartbeat = beat
                enter({ status: "connected", attempts: 0, session })
              },
              onHeard: () => {
                lastHeardAt = timers.now()
              },
              onBeat: () => healths.emit(health()),
            },
            { reclaim: reclaiming, refused },
          ))
        heartbeat = undefined
        if (closing) return
        const { code, cause, connectedAt } = ended
        if (connectedAt !== undefined) {
          reclaiming = false
          refused = false
          if (timers.now() - connectedAt >= HELD) backoff.reset()
        }
        let verdict = ended.verdict ?? verdictOf(code)
        if (verdict === "refresh-token") {
          // A token that is none of a provider's stays what it is, and a fresh one was just refused.
          if (refused || typeof token !== "function") verdict = "stay-away"
          refused = true
        }
        if (verdict === "stay-away") return finish(code, cause)
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
        enter({ status: "reconnecting", attempts, retryInMs: 0, code, cause })
      }
    })

    const stopWakeups = listenForWakeups(client.wakeups ?? platformWakeups(), () => {
      if (heartbeat === undefined) wake()
      else {
        healths.emit(health())
        heartbeat.probe()
      }
    })
    const fiber = yield* Effect.forkScoped(loop, { startImmediately: true })

    /** Until when acknowledgments are waited for. */
    let patience: number | undefined
    const goodbye: Effect.Effect<unknown> = Effect.suspend(() => {
      if (state.status !== "connected") return Effect.void
      const { draining, unacknowledged } = channel.sender
      if (!draining) patience ??= timers.now() + CLOSE_TIMEOUT
      if (draining || (!unacknowledged.isEmpty && timers.now() < patience!)) {
        return Effect.andThen(Effect.sleep(DRAIN_INTERVAL), goodbye)
      }
      channel.request("hub:disconnect", {}, () => {})
      return waitAtMost(timers, CLOSE_TIMEOUT, (done) => fiber.addObserver(done))
    })
    const close = Effect.uninterruptible(
      Effect.suspend(() => {
        if (closing) return Effect.asVoid(Fiber.await(fiber))
        closing = true
        stopWakeups()
        return Effect.andThen(
          Effect.andThen(goodbye, Fiber.interrupt(fiber)),
          Effect.promise(async () => {
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
          resume(
            now.status === "connected"
              ? Effect.succeed(now.session)
              : Effect.fail(new ConnectFailed({ code: now.code, message: `not connected: ${now.cause}` })),
          )
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
