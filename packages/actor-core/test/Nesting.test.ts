/** Actors that are nested deeper than a stack is: they start, fail and end like any others. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { ActorContext } from "../src/ActorContext.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Protocol from "../src/Protocol.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import { silently } from "./support/greeter.ts"

const Node = Protocol.make("node", {
  fail: Protocol.tell(),
  level: Protocol.ask({ success: Schema.Number }),
})

const DEPTH = 12_000

/** What happened, by level. */
const makeTree = (end: () => void | Promise<void> = () => undefined) => {
  const started: Array<number> = []
  const stopped: Array<number> = []
  const released: Array<number> = []
  let fail: (() => void) | undefined
  const node = (level: number): Behavior.Behavior<typeof Node> =>
    Behavior.setup(Node, (context: ActorContext<typeof Node>) =>
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.sync(() => void released.push(level)))
        started.push(level)
        if (level < DEPTH) context.spawn(node(level + 1), { supervision: Supervision.escalate })
        else fail = () => void context.self.tell("fail", undefined)
        return {
          fail: () => {
            throw new Error("at the bottom")
          },
          level: () => level,
          [Signal.postStop]: () => {
            stopped.push(level)
            return end()
          },
        }
      }),
    )
  return { node, started, stopped, released, fail: () => fail!() }
}

const upwards = Array.from({ length: DEPTH }, (_, index) => DEPTH - index)

/** Ends when all levels have started. */
const full = (tree: ReturnType<typeof makeTree>) =>
  Effect.gen(function* () {
    while (tree.started.length % DEPTH !== 0 || tree.started.length === 0) yield* Effect.yieldNow
  })

describe("fault 63: actors nested 12,000 deep", () => {
  it.effect("end with their system, children before parents, and release what they hold", () =>
    Effect.gen(function* () {
      const tree = makeTree()
      const exit = yield* Effect.exit(
        Effect.scoped(
          Effect.gen(function* () {
            const system = yield* ActorSystem.make()
            yield* system.spawn(tree.node(1))
            yield* full(tree)
            yield* system.shutdown()
          }),
        ),
      )
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(tree.stopped).toEqual(upwards)
      expect(tree.released).toEqual(upwards)
    }),
  )

  it.effect("end when the first of them is stopped, also where each takes its time", () =>
    Effect.gen(function* () {
      const tree = makeTree(() => Promise.resolve())
      const system = yield* ActorSystem.make()
      const top = yield* system.spawn(tree.node(1))
      yield* full(tree)
      yield* system.stop(top)
      expect(tree.stopped).toEqual(upwards)
      expect(tree.released).toEqual(upwards)
    }),
  )

  it.effect("restart as a whole when the last one's failure escalates to the first", () =>
    silently(
      Effect.gen(function* () {
        const tree = makeTree()
        const system = yield* ActorSystem.make()
        const top = yield* system.spawn(tree.node(1), { supervision: Supervision.restart() })
        yield* full(tree)
        tree.fail()
        while (tree.started.length < 2 * DEPTH) yield* Effect.yieldNow
        expect(tree.released).toEqual(upwards)
        expect(yield* top.ask("level", undefined)).toBe(1)
      }),
    ),
  )

  it.live("that do not stop in time are named", () =>
    Effect.gen(function* () {
      const tree = makeTree(() => new Promise(() => {}))
      const system = yield* ActorSystem.make({ shutdownTimeout: 1 })
      yield* system.spawn(tree.node(1))
      yield* full(tree)
      const late = yield* Effect.flip(system.shutdown(50))
      expect(late._tag).toBe("ShutdownTimeout")
      expect(late.actors).toHaveLength(1)
    }),
  )
})
