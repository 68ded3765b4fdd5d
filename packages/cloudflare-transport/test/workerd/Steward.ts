/** A durable actor behind gateways and hubs: it serves their clients, and speaks to them by itself. */
import { AddressSchema, Continuation, PersistentBehavior, Protocol, Signal } from "@signal-hub/actor-core"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { DurableActor } from "../../src/durable/DurableActor.ts"
import type { DurableActorOptions } from "../../src/durable/DurableActorOptions.ts"
import { gateway } from "./deployment.ts"

/** What a client of the tests answers to. */
export const Guest = Protocol.make("guest", {
  note: Protocol.tell({ payload: Schema.Number }),
  choose: Protocol.ask({ payload: Schema.String, success: Schema.String }),
})

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
  leave: Protocol.tell(),
})

const behavior = PersistentBehavior.make(Steward, {
  state: Schema.Array(Schema.String),
  initial: () => [],
  handlers: {
    log: (log, _, context) => {
      context.reply(log)
      return log
    },
    note: (log, text, { sender }) => [...log, `${sender} ${text}`],
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
      const said = answer._tag === "Success" ? answer.value : answer._tag === "Refused" ? answer.code : "failed"
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
