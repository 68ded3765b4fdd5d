import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import { Events } from "../src/EventStream.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"

interface Joined {
  readonly _tag: "Joined"
  readonly who: string
}

describe("the event stream", () => {
  it.effect("tells what happens to actors, by type, and counts it", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const seen: Array<unknown> = []
        system.events.subscribe(
          "ActorFailed",
          ({ address, failure }) => void seen.push([address, failure.kind]),
        )
        system.events.subscribe("ActorRestarted", ({ address }) => void seen.push(["restarted", address]))
        system.events.subscribe("ActorStopped", ({ address, reason }) => void seen.push([address, reason]))
        system.events.subscribe("DeadLetter", ({ letter }) => void seen.push([letter.reason]))
        const actor = yield* system.spawn(
          Behavior.make(Counter, {
            add: () => {
              throw new Error("boom")
            },
            get: () => 0,
            take: (by) => by,
          }),
          { name: "a" },
        )
        actor.tell("add", 1)
        yield* settled
        yield* system.stop(actor)
        expect(seen).toEqual([
          ["@(local/a)", "defect"],
          ["failed"],
          ["restarted", "@(local/a)"],
          ["@(local/a)", "stopped"],
        ])
        expect(system.events.counts).toEqual({
          ActorFailed: 1,
          DeadLetter: 1,
          ActorRestarted: 1,
          ActorStopped: 1,
        })
      }),
    ),
  )

  it("carries an application's own events, to those who still listen", () => {
    const events = new Events()
    const seen: Array<string> = []
    events.subscribe<Joined>("Joined", () => {
      throw new Error("a listener's own trouble")
    })
    const leave = events.subscribe<Joined>("Joined", ({ who }) => void seen.push(who))
    events.publish<Joined>({ _tag: "Joined", who: "Ada" })
    leave()
    leave()
    events.publish<Joined>({ _tag: "Joined", who: "Eve" })
    expect(seen).toEqual(["Ada"])
    expect(events.counts).toEqual({ Joined: 2 })
  })
})
