import { afterEach, describe, expect, it, vi } from "vitest"
import { isAddress } from "../src/Address.ts"
import { messageId } from "../src/MessageId.ts"

/** Words of the buffer; an id takes three. */
const WORDS = 1_024

describe("the id of a message", () => {
  afterEach(() => vi.restoreAllMocks())

  /** Uses up what is left of the buffer, so that the next id fills it by this. */
  const filledBy = (fill: (words: Uint32Array) => void) => {
    const spy = vi.spyOn(crypto, "getRandomValues").mockImplementation((values) => {
      fill(values as unknown as Uint32Array)
      return values
    })
    while (spy.mock.calls.length === 0) messageId()
    return spy
  }

  it("fault 67: is 96 random bits, each of which shows", () => {
    const zero = "A".repeat(16)
    const seen = new Set([zero])
    for (let bit = 0; bit < 96; bit++) {
      // The first id of a filling made the loop end; the second has the bit.
      filledBy((words) => {
        words.fill(0)
        words[3 + (bit >> 5)] = 2 ** (bit & 31)
      })
      seen.add(messageId())
      vi.restoreAllMocks()
    }
    expect(seen.size).toBe(97)
    for (const id of seen) expect(id).toHaveLength(16)
  })

  it("fault 67: is not counted: what follows one can't be told from it", () => {
    const spy = filledBy((words) => words.forEach((_, i) => void (words[i] = i * 2_654_435_761)))
    const ids = Array.from({ length: 300 }, messageId)
    expect(new Set(ids).size).toBe(300)
    expect(spy.mock.calls.length).toBe(1)
  })

  it("is fetched 4 KiB at a time, for 341 ids", () => {
    const spy = filledBy((words) => void words.fill(7))
    expect((spy.mock.calls[0]![0] as Uint32Array).byteLength).toBe(4_096)
    for (let n = 1; n < Math.floor(WORDS / 3); n++) messageId()
    expect(spy).toHaveBeenCalledTimes(1)
    messageId()
    expect(spy).toHaveBeenCalledTimes(2)
  })

  it("may be a segment of an address", () => {
    for (let n = 0; n < 10_000; n++) expect(isAddress(`@(local/~${messageId()})`)).toBe(true)
  })

  it("is another each time", () => {
    const ids = new Set(Array.from({ length: 100_000 }, messageId))
    expect(ids.size).toBe(100_000)
  })
})
