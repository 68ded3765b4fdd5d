import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { fullBucket, RateBucket } from "../../src/session/RateBucket.ts"
import { SpentRates } from "../../src/session/SpentRates.ts"

const bucket = (limits = {}) => {
  const all = { ...DEFAULT_LIMITS, ...limits }
  return new RateBucket(all, fullBucket(all, 0))
}
const takeAll = (one: RateBucket): number => {
  let taken = 0
  while (one.take()) taken++
  return taken
}

describe("RateBucket", () => {
  it("lets the burst pass at once, and not one more", () => {
    const one = bucket()
    expect(takeAll(one)).toBe(400)
    one.refill(4)
    expect(one.take()).toBe(false)
    one.refill(5)
    expect(one.take()).toBe(true)
  })

  it("never lets more pass in any time than the burst and the rate", () => {
    const steps = fc.array(fc.record({ wait: fc.nat(3_000), want: fc.nat(500) }), { maxLength: 40 })
    fc.assert(
      fc.property(steps, (all) => {
        const one = bucket()
        const passed: Array<readonly [at: number, count: number]> = []
        let now = 0
        for (const { wait, want } of all) {
          now += wait
          one.refill(now)
          let count = 0
          while (count < want && one.take()) count++
          passed.push([now, count])
        }
        for (let from = 0; from < passed.length; from++) {
          let sum = 0
          for (const [at, count] of passed.slice(from)) {
            sum += count
            expect(sum).toBeLessThanOrEqual(400 + ((at - passed[from]![0]) * 200) / 1_000 + 1e-6)
          }
        }
      }),
    )
  })

  it("a clock that goes back gives nothing and takes nothing", () => {
    const one = bucket()
    takeAll(one)
    one.refill(1_000)
    one.refill(500)
    expect(takeAll(one)).toBe(200)
  })

  it("fault 38: says in milliseconds when the next may come, which may", () => {
    const one = bucket()
    takeAll(one)
    one.refill(2)
    const { retryAfterMs } = one.refuse(2)
    expect(retryAfterMs).toBe(3)
    one.refill(2 + retryAfterMs)
    expect(one.take()).toBe(true)
  })

  it("100 refusals within 10 s are too many: then until it is full again; older ones don't count", () => {
    const one = bucket()
    takeAll(one)
    for (let n = 1; n < 100; n++) expect(one.refuse(9_999).tooMany).toBe(false)
    expect(one.refuse(9_999)).toEqual({ retryAfterMs: 2_000, tooMany: true })
    const other = bucket()
    takeAll(other)
    for (let n = 1; n < 100; n++) other.refuse(0)
    expect(other.refuse(10_000).tooMany).toBe(false)
  })

  it("who goes on from another's has no more than that had, refusals included", () => {
    const old = bucket()
    takeAll(old)
    for (let n = 1; n < 100; n++) old.refuse(0)
    const fresh = bucket()
    fresh.inherit(old, 1_000)
    expect(takeAll(fresh)).toBe(200)
    expect(fresh.refuse(1_000).tooMany).toBe(true)
  })

  it("fault 69: counts bytes beside envelopes: the burst at once, then the rate", () => {
    const MIB = 1_048_576
    const one = bucket()
    for (let n = 0; n < 16; n++) expect(one.takeBytes(MIB)).toBe(true)
    expect(one.takeBytes(1)).toBe(false)
    one.refill(1_000)
    for (let n = 0; n < 3; n++) expect(one.takeBytes(MIB)).toBe(true)
    expect(one.takeBytes(MIB)).toBe(false)
    expect(takeAll(one)).toBe(400)
  })

  it("a frame larger than the byte burst passes where the bucket is full, and leaves it in debt", () => {
    const one = bucket({ byteBurst: 1_000, maxBytesPerSecond: 1_000 })
    expect(one.takeBytes(1_500)).toBe(true)
    one.refill(500)
    expect(one.takeBytes(1)).toBe(false)
    one.refill(502)
    expect(one.takeBytes(1)).toBe(true)
  })

  it("refused bytes count too, down to a debt of one burst, and the wait that is told suffices", () => {
    const one = bucket({ byteBurst: 1_000, maxBytesPerSecond: 1_000 })
    for (let n = 0; n < 10; n++) one.takeBytes(900)
    expect(one.bytes).toBe(-1_000)
    const { retryAfterMs } = one.refuseBytes(900, 0)
    expect(retryAfterMs).toBe(1_900)
    one.refill(retryAfterMs - 1)
    expect(one.bytes).toBeLessThan(900)
    one.refill(retryAfterMs)
    expect(one.takeBytes(900)).toBe(true)
  })

  it("never lets more bytes pass in any time than the burst and the rate", () => {
    const steps = fc.array(fc.record({ wait: fc.nat(3_000), size: fc.nat(1_000) }), { maxLength: 40 })
    fc.assert(
      fc.property(steps, (all) => {
        const one = bucket({ byteBurst: 1_000, maxBytesPerSecond: 500 })
        const passed: Array<readonly [at: number, size: number]> = []
        let now = 0
        for (const { wait, size } of all) {
          now += wait
          one.refill(now)
          if (one.takeBytes(size)) passed.push([now, size])
        }
        for (let from = 0; from < passed.length; from++) {
          let sum = 0
          for (const [at, size] of passed.slice(from)) {
            sum += size
            expect(sum).toBeLessThanOrEqual(1_000 + (at - passed[from]![0]) / 2 + 1e-6)
          }
        }
      }),
    )
  })

  it("refused frames count together with refused envelopes", () => {
    const one = bucket()
    for (let n = 1; n < 100; n++)
      expect((n % 2 === 0 ? one.refuse(0) : one.refuseBytes(10, 0)).tooMany).toBe(false)
    expect(one.refuseBytes(10, 0).tooMany).toBe(true)
  })

  it("what is charged afterwards may leave a debt, which is paid before anything passes", () => {
    const one = bucket()
    takeAll(one)
    one.charge(20)
    one.refill(100)
    expect(one.take()).toBe(false)
    one.refill(105)
    expect(one.take()).toBe(true)
  })

  it("a trusted service's rates come with bursts in proportion, as full as before", () => {
    const one = bucket()
    one.charge(100)
    one.claim({ maxEnvelopesPerSecond: 2_000, maxBytesPerSecond: 2_097_152 })
    expect(one.rates).toEqual({
      maxEnvelopesPerSecond: 2_000,
      envelopeBurst: 4_000,
      maxBytesPerSecond: 2_097_152,
      byteBurst: 8 * 1_048_576,
    })
    expect(takeAll(one)).toBe(3_000)
    one.refill(1_000)
    expect(takeAll(one)).toBe(2_000)
    one.refill(2_000)
    one.claim(null)
    expect(takeAll(one)).toBe(200)
  })

  it("goes on from its state as it was, claimed rates included; from one that counted no bytes with all", () => {
    const one = bucket()
    one.claim({ maxEnvelopesPerSecond: 20 })
    one.charge(30)
    one.takeBytes(1_000)
    const { tokens, bytes, claimedRates, filledAt, refusals, refusedSince } = one
    const state = { tokens, bytes, claimedRates, filledAt, refusals, refusedSince }
    const woken = new RateBucket(DEFAULT_LIMITS, JSON.parse(JSON.stringify(state)))
    expect(takeAll(woken)).toBe(10)
    expect(woken.rates.envelopeBurst).toBe(40)
    expect(woken.bytes).toBe(16 * 1_048_576 - 1_000)
    const older = new RateBucket(DEFAULT_LIMITS, { tokens: 5, filledAt: 0, refusals: 0, refusedSince: 0 })
    expect(older.bytes).toBe(16 * 1_048_576)
    expect(takeAll(older)).toBe(5)
  })

  it("inherits by how long each needs to be full again, where their rates differ", () => {
    const old = bucket()
    old.charge(500)
    const trusted = bucket()
    trusted.claim({ maxEnvelopesPerSecond: 2_000 })
    trusted.inherit(old, 0)
    expect(trusted.tokens).toBe(-1_000)
    expect(trusted.fullAt()).toBe(old.fullAt())
  })
})

describe("SpentRates", () => {
  it("keeps what was spent until it would be full, and gives it once", () => {
    const rates = new SpentRates()
    const spent = bucket()
    takeAll(spent)
    rates.put("@(node/a)", spent, 0)
    rates.put("@(node/full)", bucket(), 0)
    expect(rates.take("@(node/full)")).toBeUndefined()
    expect(rates.take("@(node/a)")).toBe(spent)
    expect(rates.take("@(node/a)")).toBeUndefined()
  })

  it("is bounded, and forgets what time has filled", () => {
    const rates = new SpentRates()
    for (let n = 0; n < 10_001; n++) {
      const spent = bucket()
      takeAll(spent)
      rates.put(`@(node/${n})`, spent, 0)
    }
    expect(rates.take("@(node/0)")).toBeUndefined()
    expect(rates.take("@(node/1)")).toBeDefined()
    const late = bucket()
    takeAll(late)
    late.refill(5_000)
    takeAll(late)
    rates.put("@(node/late)", late, 5_000)
    expect(rates.take("@(node/2)")).toBeUndefined()
    expect(rates.take("@(node/late)")).toBe(late)
  })
})
