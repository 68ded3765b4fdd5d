/** A durable actor that stores, sends and answers as much as it is told to, and says what came to it. */
import { Continuation, Envelope, PersistentBehavior, Protocol } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { DurableActor } from "../../../src/durable/DurableActor.ts"
import type { DurableActorOptions } from "../../../src/durable/DurableActorOptions.ts"
import { namespaces } from "../../../src/durable/Reach.ts"
import { users } from "./actors.ts"

/** So many characters. */
const Size = Schema.Number
const At = Schema.TemplateLiteral(["@(", Schema.String, "/", Schema.String, ")"])

const Source = Protocol.make("shelf", {
  /** A text of so many control characters, be the state changed with it or not. */
  give: Protocol.ask({
    payload: Schema.Struct({ size: Size, changes: Schema.Boolean }),
    success: Schema.String,
  }),
})

export const Shelf = Protocol.make("shelf", {
  ...Source.messages,
  note: Protocol.tell({ payload: Schema.String }),
  notes: Protocol.ask({ success: Schema.Array(Schema.String) }),
  /** Takes its time, and then notes what it was. */
  slowly: Protocol.tell({ payload: Schema.Any }),
  giveSlowly: Protocol.ask({ payload: Size, success: Schema.String }),
  measureSlowly: Protocol.ask({ payload: Schema.String, success: Size }),
  grow: Protocol.tell({ payload: Size }),
  growAndSay: Protocol.ask({ payload: Size, success: Schema.String }),
  wind: Protocol.tell({ payload: Size }),
  growLater: Protocol.tell({ payload: Size }),
  send: Protocol.tell({ payload: Schema.Struct({ to: At, size: Size }) }),
  /** Hands it on to another, which answers with a text, and grows meanwhile. */
  relay: Protocol.ask({
    payload: Schema.Struct({ by: At, size: Size, grows: Size }),
    success: Schema.String,
  }),
  /** Asks another for a text, remembering another, and tells who asked what came of it. */
  fetch: Protocol.ask({
    payload: Schema.Struct({ from: At, size: Size, about: Size }),
    success: Schema.String,
  }),
  fetched: Continuation.message(Source, "give", Schema.Struct({ reply: Schema.String, text: Schema.String })),
})

const text = (size: number): string => "\u0001".repeat(size)

const describe = (value: unknown): string =>
  typeof value === "string"
    ? `${value.length}`
    : Object.values(value as object)
        .map((one) => Object.prototype.toString.call(one))
        .join()

const shelf = PersistentBehavior.make(Shelf, {
  state: Schema.Array(Schema.String),
  initial: () => [],
  handlers: {
    give: (notes, { changes, size }, context) => {
      context.reply(text(size))
      return changes ? [...notes, "gave"] : notes
    },
    note: (notes, note) => [...notes, note],
    notes: (notes, _, context) => {
      context.reply(notes)
      return notes
    },
    slowly: (notes, value) => Effect.as(Effect.sleep(500), [...notes, describe(value)]),
    giveSlowly: (notes, size, context) =>
      Effect.map(Effect.sleep(200), () => {
        context.reply(text(size))
        return notes
      }),
    measureSlowly: (notes, value, context) =>
      Effect.map(Effect.sleep(200), () => {
        context.reply(value.length)
        return notes
      }),
    grow: (notes, size) => [...notes, text(size)],
    growAndSay: (notes, size, context) => {
      context.reply("grown")
      return [...notes, text(size)]
    },
    wind: (notes, size, { timers }) => {
      timers.once("note", "1 hour", "note", text(size))
      return [...notes, "wound"]
    },
    growLater: (notes, size, { timers }) => {
      timers.once("grow", "1 hour", "grow", size)
      return notes
    },
    send: (notes, { size, to }, context) => {
      context.ref(Shelf, to).tell("note", text(size))
      return [...notes, "sent"]
    },
    relay: (notes, { by, grows, size }, context) => {
      if (context.self.address === by) context.reply(text(size))
      else context.forward(context.ref(Shelf, by))
      return grows > 0 ? [...notes, text(grows)] : notes
    },
    fetch: (notes, { about, from, size }, context) => {
      const asked = { reply: context.postpone(), text: text(about) }
      context.askToSelf(context.ref(Source, from), "give", { size, changes: false }, "fetched", asked)
      return notes
    },
    fetched: (notes, { about, answer }, context) => {
      const said = answer._tag === "Success" ? describe(answer.value) : JSON.stringify(answer)
      context.answer(about.reply, "fetch", Result.succeed(said))
      return [...notes, said]
    },
  },
})

/** Bytes of a row on Cloudflare's platform. A local workerd takes 8 MiB. */
const MOST_ROW_BYTES = 2_000_000

/** Has the database refuse what the platform's refuses, in its words. */
const asOnThePlatform = ({ sql }: DurableObjectStorage): void => {
  const exec = sql.exec.bind(sql)
  const sizeOf = (value: unknown): number =>
    typeof value === "string" ? Envelope.utf8Length(value) : ArrayBuffer.isView(value) ? value.byteLength : 8
  sql.exec = <T extends Record<string, SqlStorageValue>>(query: string, ...bindings: Array<unknown>) => {
    const bytes = bindings.reduce<number>((sum, value) => sum + sizeOf(value), 0)
    if (bytes > MOST_ROW_BYTES) throw new Error("string or blob too big: SQLITE_TOOBIG")
    return exec<T>(query, ...bindings)
  }
}

export class ShelfActor extends DurableActor<Cloudflare.Env> {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    asOnThePlatform(ctx.storage)
    super(ctx, env)
  }

  protected override actor({ SHELF }: Cloudflare.Env): DurableActorOptions {
    const shelves = namespaces({ shelf: SHELF })
    return { type: "shelf", behavior: shelf, reach: (address) => users.get(address) ?? shelves(address) }
  }
}
