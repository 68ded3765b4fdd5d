/** Ids of messages. Whoever knows one id can't guess another: an answer is found by the id of its ask. */

/** A global of browsers, Node and Workers alike. */
declare const crypto: { getRandomValues(values: Uint32Array): Uint32Array }

/** Random words that are fetched at once, 4 KiB: a call for each id would cost more than the id. */
const WORDS = 1_024
const words = /* @__PURE__ */ new Uint32Array(WORDS)
/** Those that are used up. At first all: Workers give no randomness while a module is loaded. */
let used = WORDS

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
const digit = (bits: number): number => DIGITS.charCodeAt(bits & 63)

/** An id that no other message has: 96 random bits, as 16 characters that a segment of an address may have. */
export const messageId = (): string => {
  if (used + 3 > WORDS) {
    crypto.getRandomValues(words)
    used = 0
  }
  const a = words[used++]!
  const b = words[used++]!
  const c = words[used++]!
  // One call, so that the text is flat: pieces put together are a tree that the first reader must copy.
  return String.fromCharCode(
    digit(a),
    digit(a >>> 6),
    digit(a >>> 12),
    digit(a >>> 18),
    digit(a >>> 24),
    digit(b),
    digit(b >>> 6),
    digit(b >>> 12),
    digit(b >>> 18),
    digit(b >>> 24),
    digit(c),
    digit(c >>> 6),
    digit(c >>> 12),
    digit(c >>> 18),
    digit(c >>> 24),
    digit((a >>> 30) | ((b >>> 30) << 2) | ((c >>> 30) << 4)),
  )
}
