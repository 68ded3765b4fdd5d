/** Random programs for a system of actors: what happens from outside, and what actors do with messages. */
import * as fc from "fast-check"

/** How an actor is spawned. */
export interface How {
  readonly supervision: "resume" | "stop" | "escalate" | "one-for-one" | "one-for-all" | "rest-for-one"
  readonly exhausted: "stop" | "escalate"
  /** `null`: unbounded. */
  readonly capacity: number | null
  readonly overflow: "backpressure" | "drop-newest" | "drop-oldest" | "fail"
  /** Whether it has no function for the end of what it watches. */
  readonly pact: boolean
  /** How many messages it can put aside. */
  readonly stash: number
  /** Its start of this number fails; 0: none. */
  readonly badStart: number
}

/** What an actor does with a message, in a row; then how that ends. */
export interface Job {
  readonly id: number
  readonly acts: ReadonlyArray<Act>
  /** By returning, throwing, or throwing its typed error; at once, or (`held`) when its gate is opened. */
  readonly end: "return" | "throw" | "refuse"
  readonly held: boolean
}

/** Actors are meant by number, counted over all that were ever spawned. */
export type Act =
  | { readonly do: "tell" | "ask"; readonly to: number; readonly job: Job }
  | { readonly do: "timer"; readonly key: number; readonly delay: number; readonly job: Job }
  | { readonly do: "spawn"; readonly how: How }
  | { readonly do: "watch" | "unwatch" | "stopChild" | "forward"; readonly to: number }
  | {
      readonly do:
        | "stopSelf"
        | "stash"
        | "unstash"
        | "become"
        | "reply"
        | "replyLater"
        | "settle"
        | "cancelTimer"
    }

/** What happens from outside. */
export type Op =
  | { readonly op: "spawn"; readonly how: How }
  | { readonly op: "tell"; readonly to: number; readonly job: Job; readonly ttl: number | null }
  | { readonly op: "ask"; readonly to: number; readonly job: Job; readonly timeout: number }
  | { readonly op: "offer"; readonly to: number; readonly job: Job }
  | { readonly op: "stop" | "watch" | "open" | "giveUp"; readonly to: number }
  | { readonly op: "wait"; readonly millis: number }
  | { readonly op: "turns"; readonly count: number }

export interface Program {
  readonly seed: number
  readonly ops: ReadonlyArray<Op>
}

/** Most actors that one program spawns. */
export const MOST_ACTORS = 9
/** How often an actor may be restarted within this many milliseconds. */
export const INTENSITY = { restarts: 2, within: 50 }
/** A message that came to actors so often is not put aside any more. It is handed on the first time only. */
export const PATIENCE = 2

const target = fc.nat(MOST_ACTORS - 1)

const how: fc.Arbitrary<How> = fc.record({
  supervision: fc.constantFrom("one-for-one", "one-for-all", "rest-for-one", "resume", "stop", "escalate"),
  exhausted: fc.constantFrom("stop", "escalate"),
  capacity: fc.oneof(
    { arbitrary: fc.constant(null), weight: 3 },
    { arbitrary: fc.integer({ min: 1, max: 3 }), weight: 2 },
  ),
  overflow: fc.constantFrom("backpressure", "drop-newest", "drop-oldest", "fail"),
  pact: fc.oneof({ arbitrary: fc.constant(false), weight: 4 }, { arbitrary: fc.constant(true), weight: 1 }),
  stash: fc.constantFrom(1, 3),
  badStart: fc.oneof(
    { arbitrary: fc.constant(0), weight: 8 },
    { arbitrary: fc.integer({ min: 1, max: 3 }), weight: 1 },
  ),
})

const { job } = fc.letrec<{ job: Job; act: Act }>((tie) => ({
  job: fc.record({
    id: fc.constant(0),
    acts: fc.array(tie("act"), { maxLength: 4, depthIdentifier: "job" }),
    end: fc.oneof(
      { arbitrary: fc.constant("return" as const), weight: 5 },
      { arbitrary: fc.constantFrom("throw" as const, "refuse" as const), weight: 2 },
    ),
    held: fc.oneof({ arbitrary: fc.constant(false), weight: 4 }, { arbitrary: fc.constant(true), weight: 1 }),
  }),
  act: fc.oneof(
    { depthSize: "small", maxDepth: 3, depthIdentifier: "job" },
    {
      arbitrary: fc.record({
        do: fc.constantFrom(
          "watch" as const,
          "unwatch" as const,
          "stopChild" as const,
          "forward" as const,
          "forward" as const,
        ),
        to: target,
      }),
      weight: 4,
    },
    {
      arbitrary: fc.record({
        do: fc.constantFrom(
          "stopSelf" as const,
          "stash" as const,
          "stash" as const,
          "stash" as const,
          "unstash" as const,
          "unstash" as const,
          "become" as const,
          "reply" as const,
          "replyLater" as const,
          "settle" as const,
          "settle" as const,
          "replyLater" as const,
          "cancelTimer" as const,
        ),
      }),
      weight: 5,
    },
    { arbitrary: fc.record({ do: fc.constant("spawn" as const), how }), weight: 3 },
    {
      arbitrary: fc.record({
        do: fc.constantFrom("tell" as const, "ask" as const),
        to: target,
        job: tie("job"),
      }),
      weight: 5,
    },
    {
      arbitrary: fc.record({
        do: fc.constant("timer" as const),
        key: fc.nat(1),
        delay: fc.integer({ min: 1, max: 30 }),
        job: tie("job"),
      }),
      weight: 1,
    },
  ),
}))

const op: fc.Arbitrary<Op> = fc.oneof(
  { arbitrary: fc.record({ op: fc.constant("spawn" as const), how }), weight: 2 },
  {
    arbitrary: fc.record({
      op: fc.constant("tell" as const),
      to: target,
      job,
      ttl: fc.oneof({ arbitrary: fc.constant(null), weight: 5 }, { arbitrary: fc.nat(20), weight: 1 }),
    }),
    weight: 8,
  },
  {
    arbitrary: fc.record({
      op: fc.constant("ask" as const),
      to: target,
      job,
      timeout: fc.constantFrom(10, 25, 1_000),
    }),
    weight: 6,
  },
  { arbitrary: fc.record({ op: fc.constant("offer" as const), to: target, job }), weight: 2 },
  {
    arbitrary: fc.record({
      op: fc.constantFrom(
        "stop" as const,
        "watch" as const,
        "open" as const,
        "open" as const,
        "giveUp" as const,
      ),
      to: target,
    }),
    weight: 5,
  },
  {
    arbitrary: fc.record({ op: fc.constant("wait" as const), millis: fc.integer({ min: 1, max: 40 }) }),
    weight: 2,
  },
  {
    arbitrary: fc.record({ op: fc.constant("turns" as const), count: fc.integer({ min: 1, max: 8 }) }),
    weight: 8,
  },
)

/** Gives each job a number of its own. */
const numbered = (ops: ReadonlyArray<Op>): ReadonlyArray<Op> => {
  let id = 0
  const job = (one: Job): Job => ({ ...one, id: ++id, acts: one.acts.map(act) })
  const act = (one: Act): Act => ("job" in one ? { ...one, job: job(one.job) } : one)
  return ops.map((one) => ("job" in one ? { ...one, job: job(one.job) } : one))
}

/** Begins with actors of every kind of relation, else most of a short program has nobody to work with. */
export const program: fc.Arbitrary<Program> = fc
  .record({
    seed: fc.integer(),
    first: fc.array(how, { minLength: 1, maxLength: 3 }),
    ops: fc.array(op, { minLength: 1, maxLength: 40, size: "max" }),
  })
  .map(({ seed, first, ops }) => ({
    seed,
    ops: numbered([...first.map((how): Op => ({ op: "spawn", how })), ...ops]),
  }))
