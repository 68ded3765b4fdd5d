/** A durable actor behind gateways and hubs: it serves their clients, and speaks to them by itself. */
import { AddressSchema, Continuation, PersistentBehavior, Protocol, Signal } from "@signal-hub/actor-core"
import * as Result from "effect/Result"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { DurableActor } from "../../src/durable/DurableActor.ts"
import type { DurableActorOptions } from "../../src/durable/DurableActorOptions.ts"
import { gateway } from "./deployment.ts"

/** What a client of the tests answers to. */
export const Guest = Protocol.make("guest", {
  note: Protocol.tell({ payload: Schema.Number }),
  choose: Protocol.ask({ payload: Schema.String, success: Schema.String }),
})

export class Uneven extends Schema.TaggedError<Uneven>()("Uneven", { after: Schema.Number }) {}

/** How many streams have been given, let go, and how many elements were made for them. */
export const given = { streams: 0, ended: 0, elements: 0 }

export const Steward = Protocol.make("steward", {
  /** Its notes so far. */
  log: Protocol.ask({ success: Schema.Array(Schema.String) }),
  note: Protocol.tell({ payload: Schema.String }),
  /** Tells a client as many numbers. */
  serve: Protocol.ask({
    payload: Schema.Struct({ to: AddressSchema, times: Schema.Number }),
    success: Schema.Number,
  }),
  /** Asks a client, and answers with what it said. */
  consult: Protocol.ask({
    payload: Schema.Struct({ to: AddressSchema, timeout: Schema.Number }),
    success: Schema.String,
  }),
  chosen: Continuation.message(Guest, "choose", Schema.Struct({ reply: Schema.String })),
  watch: Protocol.ask({ payload: AddressSchema, success: Schema.Boolean }),
  /** Lets another steward answer. */
  delegate: Protocol.ask({ payload: AddressSchema, success: Schema.String }),
  /** Counts up to a number, then fails where that is not whole. */
  count: Protocol.stream({ payload: Schema.Number, success: Schema.Number, error: Uneven }),
  /** Gives what it is told by `note` from then on. */
  follow: Protocol.stream({ success: Schema.String }),
  leave: Protocol.tell(),
})

/** Who follows a steward, by its address. */
const followers = new Map<string, (text: string) => Promise<void>>()

const numbers = async function* (to: number) {
  given.streams++
  for (let n = 1; n <= to; n++) {
    given.elements++
    yield n
  }
  if (!Number.isInteger(to)) throw new Uneven({ after: Math.floor(to) })
}

const behavior = PersistentBehavior.make(Steward, {
  state: Schema.Array(Schema.String),
  initial: () => [],
  handlers: {
    log: (log, _, context) => {
      context.reply(log)
      return log
    },
    note: (log, text, { self, sender }) => {
      void followers.get(self.address)?.(text)
      return [...log, `${sender} ${text}`]
    },
    serve: (log, { times, to }, context) => {
      const guest = context.ref(Guest, to)
      for (let n = 0; n < times; n++) guest.tell("note", n)
      context.reply(times)
      return log
    },
    consult: (log, { timeout, to }, context) => {
      const about = { reply: context.postpone() }
      context.askToSelf(context.ref(Guest, to), "choose", "which?", "chosen", about, { timeout })
      return log
    },
    chosen: (log, { about, answer }, context) => {
      const said =
        answer._tag === "Success" ? answer.value : answer._tag === "Refused" ? answer.code : "failed"
      context.answer(about.reply, "consult", Result.succeed(said))
      return [...log, `chosen ${said}`]
    },
    watch: (log, address, context) => {
      context.watch(context.ref(Guest, address))
      context.reply(true)
      return [...log, `watches ${address}`]
    },
    delegate: (log, to, context) => {
      if (to === context.self.address) context.reply(`${to} for ${context.sender}`)
      else context.forward(context.ref(Steward, to))
      return log
    },
    count: (log, to, context) => {
      context.reply(
        Stream.ensuring(
          Stream.fromAsyncIterable(numbers(to), (error) => error as Uneven),
          Effect.sync(() => void given.ended++),
        ),
      )
      return [...log, `counts for ${context.sender}`]
    },
    follow: (log, _, context) => {
      context.reply((emit, over) => {
        followers.set(context.self.address, emit)
        return over.then(() => void followers.delete(context.self.address))
      })
      return log
    },
    leave: (log, _, context) => {
      context.forget()
      return log
    },
    [Signal.terminated]: (log, { address, reason }) => [...log, `${address} ${reason}`],
  },
})

export class StewardActor extends DurableActor<Cloudflare.Env> {
  protected override actor(env: Cloudflare.Env): DurableActorOptions {
    return { type: "steward", behavior, reach: gateway.reach(env) }
  }
}
