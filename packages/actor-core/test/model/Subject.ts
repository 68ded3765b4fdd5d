/** The runtime under test: runs a program, turn by turn, and logs what can be seen of it. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { MessageContext, Reply, SpawnOptions } from "../../src/ActorContext.ts"
import type { ActorRef } from "../../src/ActorRef.ts"
import * as ActorSystem from "../../src/ActorSystem.ts"
import type { Address } from "../../src/Address.ts"
import * as Behavior from "../../src/Behavior.ts"
import * as Mailbox from "../../src/Mailbox.ts"
import * as Protocol from "../../src/Protocol.ts"
import * as Signal from "../../src/Signal.ts"
import * as Supervision from "../../src/Supervision.ts"
import { TestDispatcher } from "../../src/testing/TestDispatcher.ts"
import { Log } from "./Log.ts"
import { INTENSITY, MOST_ACTORS, PATIENCE, type Act, type How, type Job, type Op } from "./Program.ts"

export class Bad extends Schema.TaggedError<Bad>()("Bad", {}) {}

const Any = Schema.Unknown as Schema.Codec<Job>

const Worker = Protocol.make("worker", {
  do: Protocol.tell({ payload: Any }),
  ask: Protocol.ask({ payload: Any, success: Schema.String, error: Bad }),
  got: Protocol.tell({ payload: Schema.String }),
})
type Worker = typeof Worker

interface Actor {
  readonly ref: ActorRef<Worker>
  starts: number
  owed: Array<Reply<Worker, "ask">>
  gate: Deferred.Deferred<void> | undefined
}

/** Rounds of promises and timers in which everything that can happen without a turn has. */
const settle = Effect.forEach([1, 2, 3, 4], () => Effect.yieldNow, { discard: true })

export const makeSubject = Effect.fnUntraced(function* (seed: number) {
  const scope = yield* Effect.scope
  const dispatcher = TestDispatcher.stepwise({ seed })
  const system = yield* ActorSystem.make({ dispatcher })
  const log = new Log()
  const actors: Array<Actor> = []
  const asks: Array<Fiber.Fiber<void>> = []
  const attempts = new Map<number, number>()

  system.deadLetters.subscribe(({ reason, envelope: { type, payload } }) =>
    log.add("dead", `${reason} ${type} ${typeof payload === "string" ? payload : `j${(payload as Job).id}`}`),
  )
  system.events.subscribe("ActorStopped", ({ address, reason }) =>
    log.add("events", `${nameOf(address)} stopped ${reason}`),
  )
  system.events.subscribe("ActorRestarted", ({ address }) =>
    log.add("events", `${nameOf(address)} restarted`),
  )
  system.events.subscribe("ActorFailed", ({ address }) => log.add("events", `${nameOf(address)} failed`))

  const target = (to: number): Actor | undefined => actors[to % actors.length]

  const spawned = (
    how: How,
    spawn: (behavior: Behavior.Behavior<Worker>, options: SpawnOptions) => ActorRef<Worker>,
  ): void => {
    const who = actors.length
    const actor = { starts: 0, owed: [], gate: undefined }
    const options: SpawnOptions = {
      address: `@(test/a${who})`,
      supervision: supervisionOf(how),
      mailbox: how.capacity === null ? Mailbox.unbounded : Mailbox.bounded(how.capacity, how.overflow),
      stash: how.stash,
    }
    const { address } = spawn(behaviorOf(who, how, 0), options)
    // A child's own reference sends in its parent's name.
    actors.push(Object.assign(actor, { ref: system.ref(Worker, address) }))
  }

  const behaviorOf = (who: number, how: How, mode: number): Behavior.Behavior<Worker> =>
    Behavior.setup(Worker, (context) => {
      const actor = actors[who]!
      const say = (line: string): void => log.add(`a${who}`, line)
      let n = 0
      if (mode === 0) {
        actor.owed = []
        const start = ++actor.starts
        say(`start ${start}`)
        Effect.runSync(
          Scope.addFinalizer(
            context.scope,
            Effect.sync(() => say(`released ${start}`)),
          ),
        )
        if (start === how.badStart) throw new Error("bad start")
      } else say(`become ${mode}`)

      const handle = (name: string, job: Job, at: MessageContext<Worker, "ask">) => {
        const attempt = (attempts.get(job.id) ?? 0) + 1
        attempts.set(job.id, attempt)
        say(`${name} j${job.id} n=${++n} mode=${mode} from=${nameOf(at.sender)}`)
        for (const act of job.acts) perform(act, attempt, at)
        if (job.held) {
          const gate = (actor.gate = Deferred.makeUnsafe<void>())
          return Deferred.await(gate).pipe(
            Effect.onInterrupt(() => Effect.sync(() => say(`interrupted j${job.id}`))),
            Effect.andThen(
              job.end === "return"
                ? Effect.succeed(`v${job.id}`)
                : job.end === "throw"
                  ? Effect.die(new Error("told to"))
                  : Effect.fail(new Bad()),
            ),
          )
        }
        if (job.end === "throw") throw new Error("told to")
        if (job.end === "refuse") throw new Bad()
        return `v${job.id}`
      }

      const perform = (act: Act, attempt: number, at: MessageContext<Worker, "ask">): void => {
        const to = "to" in act ? target(act.to)!.ref : at.self
        switch (act.do) {
          case "tell":
            return at.ref(to).tell("do", act.job)
          case "ask":
            return at.pipeToSelf(at.ref(to).ask("ask", act.job, { timeout: 20 }), (exit) => [
              "got",
              `j${act.job.id} ${outcomeOf(exit)}`,
            ])
          case "timer":
            return at.timers.once(`t${act.key}`, act.delay, "do", act.job)
          case "cancelTimer":
            return void at.timers.cancel("t0")
          case "spawn":
            if (actors.length < MOST_ACTORS)
              spawned(act.how, (behavior, options) => at.spawn(behavior, options))
            return
          case "watch":
            return at.watch(to)
          case "unwatch":
            return at.unwatch(to)
          case "stopChild":
            return at.stop(to)
          case "forward":
            return attempt > 1 ? undefined : at.forward(to)
          case "stopSelf":
            return at.stop()
          case "stash":
            return attempt > PATIENCE ? undefined : at.stash()
          case "unstash":
            return at.unstashAll()
          case "become":
            return at.become(behaviorOf(who, how, mode + 1))
          case "reply":
            return at.reply("reply")
          case "replyLater":
            return void actor.owed.push(at.replyLater())
          case "settle":
            return answerTwice(actor.owed.shift())
        }
      }

      const hooks = {
        [Signal.preRestart]: () => say(`preRestart n=${n}`),
        [Signal.postRestart]: () => say(`postRestart n=${n}`),
        [Signal.postStop]: () => say(`postStop n=${n}`),
      }
      return {
        do: (job: Job, at: MessageContext<Worker, "do">) =>
          // A told message is handled by the same code as an asked one.
          handle("do", job, at as unknown as MessageContext<Worker, "ask">) as never,
        ask: (job: Job, at: MessageContext<Worker, "ask">) => handle("ask", job, at),
        got: (what: string) => say(`got ${what} n=${++n} mode=${mode}`),
        ...hooks,
        ...(!how.pact && {
          [Signal.terminated]: ({ address, reason }: Signal.Terminated) =>
            say(`terminated ${nameOf(address)} ${reason}`),
        }),
      }
    })

  const perform = (op: Exclude<Op, { op: "turns" }>): Effect.Effect<void> => {
    const to = "to" in op ? target(op.to)! : undefined
    switch (op.op) {
      case "spawn": {
        if (actors.length >= MOST_ACTORS) return Effect.void
        const { how } = op
        return Effect.sync(() =>
          spawned(how, (behavior, options) => Effect.runSync(system.spawn(behavior, options))),
        )
      }
      case "tell":
        return Effect.sync(() => to!.ref.tell("do", op.job, op.ttl === null ? undefined : { ttl: op.ttl }))
      case "ask":
        return to!.ref.ask("ask", op.job, { timeout: op.timeout }).pipe(
          Effect.onExit((exit) => Effect.sync(() => log.add("ends", `j${op.job.id} ${outcomeOf(exit)}`))),
          Effect.exit,
          Effect.asVoid,
          Effect.forkIn(scope, { startImmediately: true }),
          Effect.map((fiber) => void asks.push(fiber)),
        )
      case "offer":
        return to!.ref.offer("do", op.job).pipe(
          Effect.result,
          Effect.map((end) =>
            log.add("ends", `j${op.job.id} ${end._tag === "Success" ? "taken" : end.failure.reason}`),
          ),
          Effect.forkIn(scope, { startImmediately: true }),
        )
      case "stop":
        return Effect.asVoid(Effect.forkIn(system.stop(to!.ref), scope, { startImmediately: true }))
      case "watch":
        return system.watch(to!.ref).pipe(
          Effect.map(({ address, reason }) => log.add("ends", `watched ${nameOf(address)} ${reason}`)),
          Effect.forkIn(scope, { startImmediately: true }),
        )
      case "open":
        return Effect.sync(() => {
          const { gate } = to!
          to!.gate = undefined
          if (gate !== undefined) Deferred.doneUnsafe(gate, Effect.void)
        })
      case "giveUp":
        return asks.length === 0 ? Effect.void : Fiber.interrupt(asks[op.to % asks.length]!)
      case "wait":
        return TestClock.adjust(op.millis)
    }
  }

  return {
    log,
    perform: (op: Exclude<Op, { op: "turns" }>) => Effect.andThen(perform(op), settle),
    /** The actors that could have a turn, by name. */
    ready: () => dispatcher.ready.map(nameOf),
    /** One turn, of the actor that the seed decides. */
    turn: Effect.suspend(() => {
      const actor = dispatcher.step()
      return Effect.as(settle, actor === null ? null : nameOf(actor))
    }),
    shutdown: Effect.andThen(Effect.orDie(system.shutdown()), settle),
  }
})

const nameOf = (address: Address | null): string => (address === null ? "-" : address.slice(7, -1))

const supervisionOf = ({ supervision, exhausted }: How): Supervision.Directive => {
  switch (supervision) {
    case "resume":
      return Supervision.resume
    case "stop":
      return Supervision.stop
    case "escalate":
      return Supervision.escalate
    default:
      return Supervision.restart({ siblings: supervision, exhausted, intensity: INTENSITY })
  }
}

/** The second is late. */
const answerTwice = (reply: Reply<Worker, "ask"> | undefined): void => {
  reply?.succeed("settled")
  reply?.succeed("again")
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return `= ${String(exit.value)}`
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly code?: string }
  return error.code === undefined ? error._tag : `${error._tag} ${error.code}`
}
