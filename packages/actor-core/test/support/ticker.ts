/** A protocol with streams, for tests about them. */
import * as Schema from "effect/Schema"
import type { Address } from "../../src/Address.ts"
import * as Protocol from "../../src/Protocol.ts"

export class OutOfTicks extends Schema.TaggedError<OutOfTicks>()("OutOfTicks", { after: Schema.Number }) {}

export const Ticker = Protocol.make("ticker", {
  ticks: Protocol.stream({ payload: Schema.Number, success: Schema.Number, error: OutOfTicks }),
  dates: Protocol.stream({ success: Schema.Date }),
  ping: Protocol.ask({ success: Schema.String }),
  note: Protocol.tell({ payload: Schema.String }),
})

export const TICKER: Address = "@(node/ticker)"
