import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Address from "../src/Address.ts"

const segment = fc.stringMatching(/^[A-Za-z0-9._~:-]{1,30}$/).filter((text) => text !== "." && text !== "..")
const segments = fc.array(segment, { minLength: 2, maxLength: 7 })

describe("an address", () => {
  it("is reversible: its segments make it again, and it has no other segments (fault 45)", () => {
    fc.assert(
      fc.property(segments, (parts) => {
        const address = Address.make(...parts)
        expect(Address.segments(address)).toEqual(parts)
        expect(Address.make(...Address.segments(address))).toBe(address)
        expect(Address.parse(address)).toBe(address)
      }),
    )
  })

  it("that is wrapped twice is refused (fault 45)", () => {
    fc.assert(
      fc.property(segments, (parts) => {
        const address = Address.make(...parts)
        expect(Address.isAddress(`@(${address})`)).toBe(false)
        expect(() => Address.make(address, "x")).toThrow(Address.InvalidAddress)
        expect(Address.isAddress(parts.join("/"))).toBe(false)
      }),
    )
  })

  it("agrees with the grammar, written as a regular expression", () => {
    const part = String.raw`(?!\.{1,2}[/)])[A-Za-z0-9._~:-]{1,100}`
    const grammar = new RegExp(String.raw`^@\(${part}(/${part})+\)$`)
    const pieces = fc.constantFrom(
      "@",
      "(",
      ")",
      "/",
      ".",
      "..",
      "a",
      "B9",
      "~:-_",
      "é",
      " ",
      "\n",
      "a".repeat(100),
    )
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), fc.boolean(), (parts, wrapped) => {
        const text = wrapped ? `@(${parts.join("")})` : parts.join("")
        expect(Address.isAddress(text)).toBe(text.length <= 256 && grammar.test(text))
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ["@(a/b)", true],
    ["@(a/b/c)", true],
    ["@(a)", false],
    ["@(a/)", false],
    ["@(/a)", false],
    ["@(a//b)", false],
    ["@()", false],
    ["@(", false],
    ["", false],
    ["@(a/b", false],
    ["(a/b)", false],
    ["@(a/.)", false],
    ["@(../b)", false],
    ["@(a/...)", true],
    ["@(a/b\0)", false],
    [`@(a/${"b".repeat(100)})`, true],
    [`@(a/${"b".repeat(101)})`, false],
    [`@(${"a".repeat(100)}/${"b".repeat(100)}/${"c".repeat(51)})`, true],
    [`@(${"a".repeat(100)}/${"b".repeat(100)}/${"c".repeat(52)})`, false],
  ])("%j: %s", (text, valid) => {
    expect(Address.isAddress(text)).toBe(valid)
  })

  it("is a string: nothing else is one", () => {
    for (const value of [null, undefined, 1, {}, ["@(a/b)"], new String("@(a/b)")]) {
      expect(Address.isAddress(value)).toBe(false)
    }
  })

  it("that is refused is shown, but not the whole of an endless one", () => {
    const parse = (): unknown => Address.parse("a".repeat(10_000))
    expect(parse).toThrow(Address.InvalidAddress)
    expect(parse).toThrow(/^.{0,100}longer than 256.{0,80}$/)
  })

  it("is within another by whole segments only", () => {
    expect(Address.isWithin("@(a/b/c)", "@(a/b)")).toBe(true)
    expect(Address.isWithin("@(a/b)", "@(a/b)")).toBe(true)
    expect(Address.isWithin("@(a/bc)", "@(a/b)")).toBe(false)
    expect(Address.isWithin("@(a/b)", "@(a/b/c)")).toBe(false)
  })
})
