/** The mutations about time: time limits and the clocks that they are measured by. */
import type { Mutation } from "./Mutation.ts"

const CORE = "actor-core"
const TRANSPORT = "cloudflare-transport"

/** Tests. */
const LIMITS = `${CORE}/test/timeLimits.test.ts`
const JUMPS = `${CORE}/test/clockJumps.test.ts`
const CLIENT_JUMPS = `${TRANSPORT}/test/client/clockJumps.test.ts`
const HUB_JUMPS = `${TRANSPORT}/test/hub/clockJumps.test.ts`
const CLIENT_LIMITS = `${TRANSPORT}/test/client/timeLimits.test.ts`
const TOKEN = `${TRANSPORT}/test/client/token.test.ts`
const CALLS = `${TRANSPORT}/test/worker/ActorCalls.test.ts`

const core = (file: string): string => `${CORE}/src/${file}.ts`
const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`

export const TIME_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 50,
    breaks: "actors measure time by the wall clock",
    file: core("Deadlines"),
    edits: [["return monotonicMillis(this.#clock)", "return this.#clock.currentTimeMillisUnsafe()"]],
    test: JUMPS,
  },
  {
    fault: 50,
    breaks: "a client measures time by the wall clock",
    file: client("Timers"),
    edits: [["now: () => monotonicMillis(clock)", "now: () => clock.currentTimeMillisUnsafe()"]],
    test: CLIENT_JUMPS,
  },
  {
    fault: 50,
    breaks: "a ping that was on its way when the machine fell asleep is waited for after it",
    file: client("Heartbeat"),
    edits: [["!(this.#reprieved && sent !== undefined)", "sent === undefined"]],
    test: CLIENT_JUMPS,
  },
  {
    fault: 50,
    breaks: "a client trusts the monotonic clock alone, which stands still while the machine sleeps",
    file: client("Timers"),
    edits: [
      ["Math.max(now() - monotonic, timestamp() - wall)", "now() - monotonic + 0 * (timestamp() - wall)"],
    ],
    test: CLIENT_JUMPS,
  },
  {
    fault: 50,
    breaks: "nobody notices that the machine slept",
    file: client("Wakeups"),
    edits: [["onLook(late > longest())", "onLook(late > longest() && late < 0)"]],
    test: CLIENT_JUMPS,
  },
  {
    fault: 50,
    breaks: "a ping after a sleep is waited for as long as any, and one from before it counts",
    file: client("Heartbeat"),
    edits: [["this.#pongTimeout = PONG_TIMEOUT_AWOKEN", "this.#pongTimeout = PONG_TIMEOUT"]],
    test: CLIENT_JUMPS,
  },
  {
    fault: 51,
    breaks: "a time limit below 0, or NaN, is 0",
    file: core("TimeLimit"),
    edits: [["Math.ceil(millis) : new InvalidTimeLimit({ message })", "Math.ceil(millis) : 0"]],
    test: LIMITS,
  },
  {
    fault: 51,
    breaks: "NaN is read as 0 before anybody judges it",
    file: core("TimeLimit"),
    edits: [["if (parts.some(Number.isNaN)) return NaN", ""]],
    test: LIMITS,
  },
  {
    fault: 51,
    breaks: "an ask without end ends after 30 s, where its actor is in this process",
    file: core("Outbound"),
    edits: [
      [
        "new LocalAsk(target, name, TimeLimit.ofAsk(millis)",
        "new LocalAsk(target, name, Math.min(millis, 30_000)",
      ],
    ],
    test: LIMITS,
  },
  {
    fault: 51,
    breaks: "the hub is told of no time limit with Infinity, and takes its own 30 s",
    file: client("Core"),
    edits: [["ttl: timeout,", "ttl: given,"]],
    test: CLIENT_LIMITS,
  },
  {
    fault: 51,
    breaks: "typed references ignore the client's askTimeout",
    file: client("ActorHost"),
    edits: [["askTimeout: core.askTimeout,", ""]],
    test: CLIENT_LIMITS,
  },
  {
    fault: 51,
    breaks: "a Worker's ask without end ends at once, as the platform's timer takes no such time",
    file: `${TRANSPORT}/src/worker/ActorCalls.ts`,
    edits: [["request(envelope, TimeLimit.ofAsk(timeout))", "request(envelope, timeout)"]],
    test: CALLS,
  },
  {
    fault: 50,
    breaks: "who was heard before the clock was set back lives until the clock is there again",
    file: `${TRANSPORT}/src/session/Liveness.ts`,
    edits: [
      ["if (isNewPing || connection.heardAt > now) connection.heardAt = now", ""],
      ["pingedAt > now ? 0 : pingedAt", "pingedAt"],
    ],
    test: HUB_JUMPS,
  },
  {
    fault: 50,
    breaks: "a clock that was set back makes all look dead who only ping",
    file: `${TRANSPORT}/src/session/Liveness.ts`,
    edits: [
      [
        "if (isNewPing || connection.heardAt > now) connection.heardAt = now",
        "if (connection.heardAt > now) connection.heardAt = 0",
      ],
    ],
    test: HUB_JUMPS,
  },
  {
    fault: 50,
    breaks: "refusals and takeovers count together for as long as the clock was set back",
    file: `${TRANSPORT}/src/protocol/WallTime.ts`,
    edits: [["moment > now ? Number.POSITIVE_INFINITY : now - moment", "now - moment"]],
    test: HUB_JUMPS,
  },
  {
    fault: 50,
    breaks: "timers in the memory of an object stand still while the clock is behind",
    file: `${TRANSPORT}/src/object/ObjectTimers.ts`,
    edits: [["if (by <= 0) return", "if (by <= 0 || by > 0) return"]],
    test: HUB_JUMPS,
  },
  {
    fault: 17,
    breaks: "a token provider can't end the attempts",
    file: client("Attempt"),
    edits: [["if (!(error instanceof LoginRequired)) return ended", "if (error !== undefined) return ended"]],
    test: TOKEN,
  },
  {
    fault: 17,
    breaks:
      "a provider that said that only a login brings a token is asked on and on while the connection lives",
    file: client("SocketLife"),
    edits: [
      ["if (this.#ended !== undefined || token === null) return", "if (this.#ended !== undefined) return"],
      ["if (token === undefined) return again()", "if (token == null) return again()"],
    ],
    test: TOKEN,
  },
]
