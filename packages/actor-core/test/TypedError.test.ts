import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { Never } from "../src/Protocol.ts"
import { isTypedError } from "../src/TypedError.ts"

class Empty extends Schema.TaggedError<Empty>()("Empty", {}) {}
class Full extends Schema.TaggedError<Full>()("Full", { by: Schema.Number }) {}
const Plain = Schema.Struct({ _tag: Schema.tag("Plain"), since: Schema.Date })

describe("what is thrown is a typed error", () => {
  it.each([
    ["an instance of the class", Empty, new Empty({}), true],
    ["an instance of one of several", Schema.Union([Empty, Full]), new Full({ by: 1 }), true],
    ["a value of a struct", Plain, { _tag: "Plain", since: new Date(0) }, true],
    ["a literal", Schema.Literals(["a", "b"]), "b", true],
    ["no other error, even where a class needs no field", Empty, new Error("secret"), false],
    ["no object that has the class's fields", Full, { _tag: "Full", by: 1 }, false],
    ["no instance of another class", Full, new Empty({}), false],
    ["nothing else", Plain, undefined, false],
    ["nothing, where there is none", Never, new Empty({}), false],
  ])("%s", (_, schema, thrown, is) => {
    expect(isTypedError(schema, thrown)).toBe(is)
  })
})
