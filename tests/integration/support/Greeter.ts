/** A protocol for tests of our own client: an ask with a typed error, and a tell. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"

export class Shy extends Schema.TaggedError<Shy>()("Shy", { name: Schema.String }) {}

export const Greeter = Protocol.make("greeter", {
  greet: Protocol.ask({
    payload: Schema.Struct({ name: Schema.String }),
    success: Schema.String,
    error: Shy,
  }),
  note: Protocol.tell({ payload: Schema.Struct({ text: Schema.String }) }),
})

/** Greets all but Greta; keeps what it was told. */
export const greeter = (notes: Array<string> = []) => ({
  greet: ({ name }: { readonly name: string }): string => {
    if (name === "Greta") throw new Shy({ name })
    return `hello ${name}`
  },
  note: ({ text }: { readonly text: string }): void => void notes.push(text),
})
