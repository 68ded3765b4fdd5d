import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { compile, compileTopic, InvalidPattern, MAX_PATTERN_BYTES } from "../src/AddressPattern.ts"

/** The definition, with no thought of time. */
const segmentMatches = (pattern: string, text: string): boolean => {
  if (pattern === "") return text === ""
  if (pattern[0] === "*") {
    return segmentMatches(pattern.slice(1), text) || (text !== "" && segmentMatches(pattern, text.slice(1)))
  }
  return pattern[0] === text[0] && segmentMatches(pattern.slice(1), text.slice(1))
}

const matches = (pattern: string, address: string): boolean => {
  if (pattern === "*" || pattern === "**") return true
  const patterns = pattern.slice(2, -1).split("/")
  const texts = address.slice(2, -1).split("/")
  const rest = patterns.at(-1) === "**"
  if (rest) patterns.pop()
  if (rest ? texts.length <= patterns.length : texts.length !== patterns.length) return false
  return patterns.every((part, i) => segmentMatches(part, texts[i]!))
}

/** A text that counts how often it is looked at. */
class CountedText extends String {
  looks = 0
  override charCodeAt(index: number): number {
    this.looks++
    return super.charCodeAt(index)
  }
}

const looksFor = (pattern: string, address: string): number => {
  const text = new CountedText(address)
  compile(pattern).matches(text as unknown as string)
  return text.looks
}

describe("a pattern", () => {
  it("agrees with the definition", () => {
    const patternPart = fc.string({ unit: fc.constantFrom("a", "b", "*"), minLength: 1, maxLength: 6 })
    const textPart = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 7 })
    fc.assert(
      fc.property(
        fc.array(
          patternPart.filter((part) => part !== "**"),
          { minLength: 1, maxLength: 3 },
        ),
        fc.boolean(),
        fc.array(textPart, { minLength: 2, maxLength: 4 }),
        (parts, rest, texts) => {
          const pattern = `@(${[...parts, ...(rest ? ["**"] : [])].join("/")})`
          const address = `@(${texts.join("/")})`
          expect(compile(pattern).matches(address)).toBe(matches(pattern, address))
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it.each([
    ["*", "@(a/b)", true],
    ["**", "@(a/b)", true],
    ["@(**)", "@(a/b/c)", true],
    ["@(a/*)", "@(a/b)", true],
    ["@(a/*)", "@(a/b/c)", false],
    ["@(a/**)", "@(a/b/c)", true],
    ["@(a/b/**)", "@(a/b)", false],
    ["@(*/b)", "@(a/b)", true],
    ["@(a*/b)", "@(b/b)", false],
    ["@(a/b)", "@(a/b)", true],
    ["@(a/b)", "@(a/B)", false],
    ["@(a/*-1)", "@(a/x-1-1)", true],
  ])("%s on %s: %s", (pattern, address, matched) => {
    expect(compile(pattern).matches(address)).toBe(matched)
  })

  it.each([
    "",
    "@()",
    "@(",
    "a/b",
    "@(a//b)",
    "@(a/**/b)",
    "@(**/b)",
    "@(a/(b))",
    "@(a/é)",
    "@(a/.+)",
    `@(a/${"*".repeat(MAX_PATTERN_BYTES)})`,
  ])("%j is refused", (pattern) => {
    expect(() => compile(pattern)).toThrow(InvalidPattern)
  })

  it("takes time linear in the address, however many stars it has (fault 29)", () => {
    const nearMiss = (stars: number) => `@(${"*a".repeat(stars)}b/x)`
    for (const stars of [1, 4, 16, 64, 120]) {
      const pattern = nearMiss(stars)
      for (const length of [10, 50, 100]) {
        const looks = looksFor(pattern, `@(${"a".repeat(length)}/x)`)
        expect(looks).toBeLessThanOrEqual(pattern.length * (length + 1))
      }
    }
    // The worst of all: the text after the last star repeats, and is missed at its end each time.
    const worst = `@(*${"a".repeat(50)}b/x)`
    expect(looksFor(worst, `@(${"a".repeat(100)}/x)`)).toBeLessThanOrEqual(worst.length * 101)
  })
})

describe("a pattern over topics", () => {
  it.each([
    ["*", "a", true],
    ["**", "a/b", true],
    ["a", "a", true],
    ["a", "a/b", false],
    ["a/*", "a/b", true],
    ["a/*", "a", false],
    ["a/*", "a/b/c", false],
    ["a/**", "a/b/c", true],
    ["a/**", "a", false],
    ["a/**", "ab/c", false],
    ["*/b", "a/b", true],
    ["a*/b", "b/b", false],
    ["a//b", "a//b", true],
    ["/a", "/a", true],
    ["a:*.x", "a:1.x", true],
    ["a:*.x", "a:1:x", false],
  ])("%s on %s: %s", (pattern, topic, matched) => {
    expect(compileTopic(pattern).matches(topic)).toBe(matched)
  })

  it.each(["", "a/**/b", "a b", "@(a/b)", "é", "*".repeat(MAX_PATTERN_BYTES + 1)])(
    "%j is refused",
    (pattern) => {
      expect(() => compileTopic(pattern)).toThrow(InvalidPattern)
    },
  )
})
