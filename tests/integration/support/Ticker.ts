/** A protocol with a stream, for tests of our own client. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

export class Enough extends Schema.TaggedError<Enough>()("Enough", { after: Schema.Number }) {}

export const Ticker = Protocol.make("ticker", {
  count: Protocol.stream({
    payload: Schema.Struct({ to: Schema.Number, ending: Schema.optional(Schema.Literals(["fail", "wait"])) }),
    success: Schema.Number,
    error: Enough,
  }),
  ping: Protocol.ask({ success: Schema.String }),
})

/** Counts, and notes in `ended` which of its streams were let go. */
export const ticker = (ended: Array<string>) => ({
  count: async function* ({
    to,
    ending,
  }: {
    readonly to: number
    readonly ending?: "fail" | "wait" | undefined
  }) {
    try {
      for (let n = 1; n <= to; n++) yield n
      if (ending === "fail") throw new Enough({ after: to })
      if (ending === "wait") await new Promise(() => {})
    } finally {
      ended.push("count")
    }
  },
  ping: (): string => "pong",
})
