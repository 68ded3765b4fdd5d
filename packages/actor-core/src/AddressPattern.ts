/**
 * Patterns over addresses and topics: a segment may hold `*` (any run of characters within it), a
 * last segment `**` matches the rest, and `*` alone matches all.
 *
 * No regular expression is built from a pattern. Matching goes back to the last star only, so a segment
 * costs at most (length of its pattern + 1) × (length of its text + 1) steps, however many stars there
 * are: for a given pattern that is linear in the address, with a factor of at most `MAX_PATTERN_BYTES`.
 */
import * as Data from "effect/Data"
import { isSegmentCharacter } from "./Address.ts"

/** Most bytes that a pattern may have. */
export const MAX_PATTERN_BYTES = 256

/** A pattern that breaks the grammar. The message names the rule. */
export class InvalidPattern extends Data.TaggedError("InvalidPattern")<{
  readonly message: string
}> {}

/** A pattern, ready to match. */
export interface AddressPattern {
  readonly source: string
  /** `*` or `@(**)`: matches every address. */
  readonly matchesAll: boolean
  readonly matches: (address: string) => boolean
}

/** A pattern over topics, ready to match. */
export type TopicPattern = Omit<AddressPattern, "matchesAll">

const STAR = 0x2a

/** Reads a pattern over addresses. Throws `InvalidPattern`. */
export const compile = (source: string): AddressPattern => {
  if (source.length > MAX_PATTERN_BYTES) throw invalid(`is longer than ${MAX_PATTERN_BYTES} bytes`)
  if (source === "*" || source === "**" || source === "@(**)")
    return { source, matchesAll: true, matches: () => true }
  if (!source.startsWith("@(") || !source.endsWith(")"))
    throw invalid('is neither "*" nor of the form "@(type/name)"')
  const patterns = source.slice(2, -1).split("/")
  const rest = patterns.at(-1) === "**"
  if (rest) patterns.pop()
  for (const pattern of patterns) checkSegment(pattern)
  return {
    source,
    matchesAll: false,
    matches: (address) => matchSegments(patterns, rest, address, 2, address.length - 1),
  }
}

/** Reads a pattern over topics: the same wildcards, without `@( )`. Throws `InvalidPattern`. */
export const compileTopic = (source: string): TopicPattern => {
  if (source.length > MAX_PATTERN_BYTES) throw invalid(`is longer than ${MAX_PATTERN_BYTES} bytes`)
  if (source === "") throw invalid("is empty")
  if (source === "*" || source === "**") return { source, matches: () => true }
  const patterns = source.split("/")
  const rest = patterns.at(-1) === "**"
  if (rest) patterns.pop()
  // Of topics, unlike addresses, a segment may be empty.
  for (const pattern of patterns) if (pattern !== "") checkSegment(pattern)
  return { source, matches: (topic) => matchSegments(patterns, rest, topic, 0, topic.length) }
}

const checkSegment = (segment: string): void => {
  if (segment === "") throw invalid("has an empty segment")
  if (segment === "**") throw invalid('has "**" before its last segment')
  for (let i = 0; i < segment.length; i++) {
    const code = segment.charCodeAt(i)
    if (code !== STAR && !isSegmentCharacter(code))
      throw invalid("has a character that is not in [A-Za-z0-9._~:*-]")
  }
}

const invalid = (reason: string): InvalidPattern => new InvalidPattern({ message: `pattern ${reason}` })

/** Matches the segments of `text[start, end)` in turn; `rest` stands for one segment or more. */
const matchSegments = (
  patterns: ReadonlyArray<string>,
  rest: boolean,
  text: string,
  start: number,
  end: number,
): boolean => {
  let from = start
  for (const pattern of patterns) {
    if (from > end) return false
    const slash = text.indexOf("/", from)
    const to = slash === -1 || slash > end ? end : slash
    if (!matchSegment(pattern, text, from, to)) return false
    from = to + 1
  }
  return rest ? from <= end : from > end
}

/** One segment against `text[from, to)`: greedy, going back to the last star only. */
const matchSegment = (pattern: string, text: string, from: number, to: number): boolean => {
  let p = 0
  let t = from
  let star = -1
  let retry = from
  while (t < to) {
    const code = pattern.charCodeAt(p)
    if (code === STAR) {
      star = p++
      retry = t
    } else if (code === text.charCodeAt(t)) {
      p++
      t++
    } else if (star !== -1) {
      p = star + 1
      t = ++retry
    } else return false
  }
  while (pattern.charCodeAt(p) === STAR) p++
  return p === pattern.length
}
