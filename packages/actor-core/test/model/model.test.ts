/**
 * The runtime against the model: random programs, turn by turn in an order that a seed decides; all that
 * can be seen must be the same after each. `MODEL_RUNS` and `MODEL_SEED` choose how many, and which.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import { expect, it } from "vitest"
import { Model } from "./Model.ts"
import { program, type Program } from "./Program.ts"
import { makeSubject } from "./Subject.ts"

/** Runs the program on both, and compares after each step. */
const run = Effect.fnUntraced(function* ({ ops, seed }: Program) {
  const subject = yield* makeSubject(seed)
  const model = new Model()
  const compare = (step: unknown): void => {
    expect({ step, ...subject.log.take() }).toEqual({ step, ...model.log.take() })
    expect(subject.ready()).toEqual(expect.arrayContaining([...model.ready()]))
  }
  const turns = Effect.fnUntraced(function* (count: number) {
    for (let n = 0; n < count; n++) {
      const actor = yield* subject.turn
      if (actor === null) break
      model.turn(actor)
      compare(`turn of ${actor}`)
    }
    return model.ready().length === 0
  })
  for (const op of ops) {
    if (op.op === "turns") yield* turns(op.count)
    else {
      yield* subject.perform(op)
      model.perform(op)
      compare(op)
    }
  }
  // To the end: whatever still waits for something gets it.
  for (;;) {
    while (!(yield* turns(1_000)));
    const [held] = model.waiting()
    if (held === undefined) break
    const open = { op: "open", to: held } as const
    yield* subject.perform(open)
    model.perform(open)
    compare(open)
  }
  yield* subject.shutdown
  model.shutdown()
  compare("shutdown")
})

const { MODEL_RUNS: runs = "1000", MODEL_SEED: seed } = process.env

it("faults 43, 44: the runtime does what the model does, whatever the program", { timeout: 600_000 }, () =>
  fc.assert(
    fc.asyncProperty(program, (one) =>
      run(one).pipe(
        Effect.scoped,
        Effect.provide(TestClock.layer()),
        Effect.provide(Logger.layer([])),
        Effect.runPromise,
      ),
    ),
    { numRuns: Number(runs), ...(seed !== undefined && { seed: Number(seed) }) },
  ),
)
