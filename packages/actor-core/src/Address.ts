/**
 * Addresses of actors: `@(` segment (`/` segment)+ `)`.
 *
 * An address is a string and stays one: it is compared with `===`, used as a map key and sent as it
 * is. What parts it has is asked here. Patterns over addresses are in `AddressPattern`.
 */
import * as Data from "effect/Data"

/** The address of an actor, e.g. `@(browser/ada)`. Case-sensitive, at most 256 bytes. */
export type Address = `@(${string}/${string})`

/** Most bytes that an address may have. Its characters are ASCII, so bytes are characters. */
export const MAX_ADDRESS_BYTES = 256
const MAX_SEGMENT_BYTES = 100

/** The hub's own address: it alone is believed when it speaks `hub:*`. */
export const HUB_ADDRESS: Address = "@(cloudflare/signal-hub)"

/** An address that breaks the grammar. The message names the rule. */
export class InvalidAddress extends Data.TaggedError("InvalidAddress")<{
  readonly address: string
  readonly message: string
}> {}

/** Whether the address is the platform's to give: nobody may claim it. */
export const isReserved = (address: string): boolean =>
  address.startsWith("@(cloudflare/") || address.startsWith("@(session/")

const SEGMENT_CHARACTER = new Uint8Array(128)
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-") {
  SEGMENT_CHARACTER[c.charCodeAt(0)] = 1
}

/** Whether the character code may stand in a segment: `[A-Za-z0-9._~:-]`. */
export const isSegmentCharacter = (code: number): boolean => code < 128 && SEGMENT_CHARACTER[code] === 1

const SLASH = 0x2f
const DOT = 0x2e

/** Why the text is no address, or `undefined` where it is one. One pass, no allocation. */
const violation = (text: string): string | undefined => {
  const end = text.length - 1
  if (text.length > MAX_ADDRESS_BYTES) return `is longer than ${MAX_ADDRESS_BYTES} bytes`
  if (!text.startsWith("@(") || text.charCodeAt(end) !== 0x29) return 'is not of the form "@(type/name)"'
  let segments = 1
  let start = 2
  for (let i = 2; i <= end; i++) {
    const code = text.charCodeAt(i)
    if (code !== SLASH && i !== end) {
      if (!isSegmentCharacter(code)) return `has a character at ${i} that is not in [A-Za-z0-9._~:-]`
      continue
    }
    const length = i - start
    if (length === 0) return "has an empty segment"
    if (length > MAX_SEGMENT_BYTES) return `has a segment longer than ${MAX_SEGMENT_BYTES} bytes`
    if (isDots(text, start, length)) return 'has a segment "." or ".."'
    if (i !== end) segments++
    start = i + 1
  }
  return segments < 2 ? "has one segment; it needs a type and a name" : undefined
}

const isDots = (text: string, start: number, length: number): boolean =>
  length <= 2 && text.charCodeAt(start) === DOT && (length === 1 || text.charCodeAt(start + 1) === DOT)

/** Whether the value is an address. */
export const isAddress = (value: unknown): value is Address =>
  typeof value === "string" && violation(value) === undefined

/** The address that the text is. Throws `InvalidAddress`. */
export const parse = (text: string): Address => {
  const reason = violation(text)
  if (reason === undefined) return text as Address
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text
  throw new InvalidAddress({ address: shown, message: `address ${JSON.stringify(shown)} ${reason}` })
}

/** The address of these segments; the reverse of `segments`. Throws `InvalidAddress`. */
export const make = (...segments: ReadonlyArray<string>): Address => parse(`@(${segments.join("/")})`)

/** The segments of the address; the reverse of `make`. */
export const segments = (address: Address): ReadonlyArray<string> => address.slice(2, -1).split("/")

/** Whether `address` is `ancestor` or lies below it: `@(a/b/c)` is within `@(a/b)`. */
export const isWithin = (address: Address, ancestor: Address): boolean =>
  address === ancestor || address.startsWith(`${ancestor.slice(0, -1)}/`)
