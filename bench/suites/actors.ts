/**
 * The actor runtime by itself, in this process: how fast messages, answers and actors are, beside nact
 * and beside a bare hand-over of Effect's; how much an idle actor weighs; how much a page downloads.
 */
import { gzipSync } from "node:zlib"
import { ActorSystem, Behavior, Protocol } from "@signal-hub/actor-core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { build } from "esbuild"
import * as nact from "nact"
import { heapUsed } from "../lib/heap.ts"
import {
  inTurn,
  type Measure,
  type Options,
  type Outcome,
  type Probe,
  type Row,
  type Suite,
} from "../Suite.ts"

const NAME = "actors"
const OURS = "signal-hub"

const Worker = Protocol.make("worker", {
  work: Protocol.tell({ payload: Schema.Number }),
  echo: Protocol.ask({ payload: Schema.Number, success: Schema.Number }),
})

/** Something that does `count` of what is measured. */
interface Subject {
  readonly name: string
  readonly prepare: () => Promise<{
    readonly run: (count: number) => Promise<unknown>
    readonly end: () => Promise<unknown>
  }>
}

/** One way to measure: how many per second. */
const rate = (metric: string, count: number): Measure<Subject> => ({
  name: metric,
  slices: 8,
  prepare: async (subject): Promise<Probe> => {
    const { end, run } = await subject.prepare()
    for (let i = 0; i < 3; i++) await run(count)
    return {
      slice: async () => {
        const start = performance.now()
        await run(count)
        return { [metric]: (count / (performance.now() - start)) * 1_000 }
      },
      [Symbol.asyncDispose]: async () => void (await end()),
    }
  },
})

/** A system of ours, and what ends it. */
const startSystem = async () => {
  const scope = Scope.makeUnsafe()
  const system = await Effect.runPromise(Scope.provide(ActorSystem.make(), scope))
  return { system, end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

/** A handler of tells that says when it has had so many. */
const countdown = () => {
  let left = 0
  let done = (): void => {}
  return {
    handle: (): void => {
      if (--left === 0) done()
    },
    expect: (count: number): Promise<void> => {
      left = count
      return new Promise((resolve) => void (done = resolve))
    },
  }
}

const tells: ReadonlyArray<Subject> = [
  {
    name: OURS,
    prepare: async () => {
      const { end, system } = await startSystem()
      const { expect, handle } = countdown()
      const actor = await Effect.runPromise(
        system.spawn(Behavior.make(Worker, { work: handle, echo: (n) => n })),
      )
      return {
        end,
        run: (count) => {
          const done = expect(count)
          for (let i = 0; i < count; i++) actor.tell("work", i)
          return done
        },
      }
    },
  },
  {
    name: "nact",
    prepare: async () => {
      const system = nact.start()
      const { expect, handle } = countdown()
      const actor = nact.spawnStateless(system, handle)
      return {
        end: async () => nact.stop(system),
        run: (count) => {
          const done = expect(count)
          for (let i = 0; i < count; i++) nact.dispatch(actor, i)
          return done
        },
      }
    },
  },
]

const asks: ReadonlyArray<Subject> = [
  {
    name: OURS,
    prepare: async () => {
      const { end, system } = await startSystem()
      const actor = await Effect.runPromise(
        system.spawn(Behavior.make(Worker, { work: () => undefined, echo: (n) => n })),
      )
      const run = (count: number) =>
        Effect.runPromise(
          Effect.gen(function* () {
            for (let i = 0; i < count; i++) yield* actor.ask("echo", i)
          }),
        )
      return { end, run }
    },
  },
  {
    name: "effect-deferred",
    prepare: async () => {
      const ready = Promise.resolve()
      const run = (count: number) =>
        Effect.runPromise(
          Effect.gen(function* () {
            for (let i = 0; i < count; i++) {
              const deferred = Deferred.makeUnsafe<number>()
              void ready.then(() => Deferred.doneUnsafe(deferred, Effect.succeed(i)))
              yield* Deferred.await(deferred)
            }
          }),
        )
      return { end: async () => undefined, run }
    },
  },
]

const spawns: ReadonlyArray<Subject> = [
  {
    name: OURS,
    prepare: async () => {
      const { end, system } = await startSystem()
      const behavior = Behavior.make(Worker, { work: () => undefined, echo: (n) => n })
      const run = (count: number) =>
        Effect.runPromise(
          Effect.gen(function* () {
            for (let i = 0; i < count; i++) yield* system.stop(yield* system.spawn(behavior))
          }),
        )
      return { end, run }
    },
  },
  {
    name: "nact",
    prepare: async () => {
      const system = nact.start()
      return {
        end: async () => nact.stop(system),
        run: async (count) => {
          for (let i = 0; i < count; i++) nact.stop(nact.spawnStateless(system, () => undefined))
          // Its actors end in the next turn of the event loop.
          await new Promise<void>((resolve) => void setImmediate(resolve))
        },
      }
    },
  },
]

/** How many idle actors are weighed. */
const IDLE = 100_000

/** Bytes of heap for each of many actors that have nothing to do; their references included. */
const weigh = async (): Promise<number> => {
  const { end, system } = await startSystem()
  const behavior = Behavior.make(Worker, { work: () => undefined, echo: (n) => n })
  const spawnAll = Effect.forEach(Array.from({ length: IDLE }), () => system.spawn(behavior))
  const before = heapUsed()
  const actors = await Effect.runPromise(spawnAll)
  const bytes = (heapUsed() - before) / actors.length
  await end()
  return bytes
}

/** A page's program, but for its protocol's schemas; `LocalSystem` or `ActorSystem`. */
const program = (system: string): string => `
  import { ${system}, Behavior, Mailbox, Protocol, Signal, Supervision } from "@signal-hub/actor-core"
  import * as Effect from "effect/Effect"
  const Page = Protocol.make("page", { load: Protocol.tell(), show: Protocol.ask() })
  const page = Behavior.setup(Page, (context) => ({
    load: () => context.setReceiveTimeout("1 minute"),
    show: () => Effect.void,
    [Signal.receiveTimeout]: () => context.stop(),
  }))
  const options = { supervision: Supervision.restart(), mailbox: Mailbox.bounded(100) }
  Effect.runFork(Effect.scoped(Effect.gen(function* () {
    const system = yield* ${system}.make()
    const actor = yield* system.spawn(page, options)
    yield* Effect.forever(actor.ask("show"))
  })))
`

const bundle = async (contents: string, external: Array<string> = []): Promise<number> => {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2023",
    write: false,
    external,
  })
  return outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length / 1_000, 0)
}

const run = async (options: Options): Promise<Outcome> => {
  const rows: Array<Row> = []
  const failures: Array<string> = []
  const rates: ReadonlyArray<
    readonly [metric: string, count: number, baseline: string, subjects: ReadonlyArray<Subject>]
  > = [
    ["local_tell", 200_000, "nact", tells],
    ["local_ask", 50_000, "effect-deferred", asks],
    ["spawn_stop", 20_000, "nact", spawns],
  ]
  for (const [metric, count, baseline, subjects] of rates) {
    const suite = { name: NAME, baseline, units: { [metric]: "1/s" } }
    const outcome = await inTurn(suite, subjects, [rate(metric, count)], options)
    rows.push(...outcome.rows)
    failures.push(...outcome.failures)
  }
  const single = { suite: NAME, subject: OURS, baseline: null, ratio: null }
  options.log(`${IDLE} idle actors`)
  rows.push({ ...single, metric: "idle_actor_bytes", unit: "B", value: await weigh() })
  options.log("bundles")
  const bundles = {
    bundle_gz: await bundle(program("LocalSystem")),
    bundle_without_effect_gz: await bundle(program("LocalSystem"), ["effect", "effect/*"]),
    bundle_with_transports_gz: await bundle(program("ActorSystem")),
  }
  for (const [metric, value] of Object.entries(bundles)) rows.push({ ...single, metric, unit: "kB", value })
  return { rows, failures }
}

export const actors: Suite = { name: NAME, baseline: "nact", run }
