/** The arithmetic of the sizing model: against the vendor's own examples, by hand, and by its laws. */
import { parseArgs } from "node:util"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { billOf, busyPart, type Usage } from "./Bill.ts"
import { gatewayLimits, gatewayReturnSeconds, gatewayUsage, treeOf } from "./Gateway.ts"
import { hubLimits, hubReturnSeconds, hubUsage, sessionsAHub, sessionsAt } from "./Hub.ts"
import { INPUTS } from "./Inputs.ts"
import { firstOf, usedPart } from "./Limit.ts"
import { DEFAULT_MODEL, flagsOf, modelOf } from "./Model.ts"
import { tablesOf } from "./tables.ts"
import { unitPrices } from "./UnitPrices.ts"
import { framesOf, ratesOf, type Workload, WORKLOADS } from "./Workload.ts"

const { chat, devices, dashboards } = WORKLOADS
const MILLION = 1e6
const MONTH = 30 * 86_400

const used = (some: Partial<Usage>): Usage => ({
  objects: 0,
  workerRequests: 0,
  workerCpuMs: 0,
  objectRequests: 0,
  alarms: 0,
  gbSeconds: 0,
  rowsRead: 0,
  rowsWritten: 0,
  storedGb: 0,
  ...some,
})

const total = (topology: "hub" | "gateway", workload: Workload, identities: number): number => {
  const rates = ratesOf(workload, identities, INPUTS)
  const usage = topology === "hub" ? hubUsage : gatewayUsage
  return billOf(usage(rates, identities, INPUTS), INPUTS.prices).total
}

describe("the bill", () => {
  it("is that of Cloudflare's examples 1 to 4, before they round up", () => {
    const examples = [
      { objectRequests: 1_500_000, gbSeconds: 128_000, requests: 0.075, duration: 0 },
      { objectRequests: 3_750_000, gbSeconds: 11_059_200, requests: 0.4125, duration: 133.24 },
      { objectRequests: 12_960_100, gbSeconds: 33_177_600, requests: 1.794, duration: 409.72 },
      { objectRequests: 21_610_000, gbSeconds: 552_960, requests: 3.0915, duration: 1.912 },
    ]
    for (const { requests, duration, ...usage } of examples) {
      const bill = billOf(used(usage), INPUTS.prices)
      expect(bill.requests).toBeCloseTo(requests, 3)
      expect(bill.duration).toBeCloseTo(duration, 2)
      expect(bill.total).toBeCloseTo(5 + requests + duration, 2)
    }
  })

  it("of a Worker is that of Cloudflare's example of 15 million requests of 7 ms", () => {
    const bill = billOf(used({ workerRequests: 15e6, workerCpuMs: 105e6 }), INPUTS.prices)
    expect(bill.worker).toBeCloseTo(1.5 + 1.5, 6)
  })

  it("of rows and storage begins where what is included ends", () => {
    const included = { rowsRead: 25e9, rowsWritten: 50e6, storedGb: 5 }
    expect(billOf(used(included), INPUTS.prices).total).toBe(5)
    const bill = billOf(used({ rowsRead: 26e9, rowsWritten: 53e6, storedGb: 15 }), INPUTS.prices)
    expect(bill.rows).toBeCloseTo(1 + 3, 6)
    expect(bill.storage).toBeCloseTo(2, 6)
  })
})

it("what overlaps is billed once: small loads add up, and no load is more than all of the time", () => {
  expect(busyPart(0)).toBe(0)
  expect(busyPart(0.001)).toBeCloseTo(0.001, 5)
  expect(busyPart(1)).toBeCloseTo(0.632, 3)
  expect(busyPart(1e9)).toBe(1)
})

describe("hubs", () => {
  it("a million identities that chat, by hand", () => {
    const rates = ratesOf(chat, MILLION, INPUTS)
    const usage = hubUsage(rates, MILLION, INPUTS)
    // 200,000 are connected, 5,000 a hub, each hub swept once a minute.
    expect(usage.objects).toBe(40)
    expect(usage.alarms).toBe(40 * 43_200)
    const connects = 4 * 30 * MILLION
    // Connect, subscribe; a message a minute; a fresh token an hour.
    const frames = 2 * connects + 200_000 * 43_200 + 200_000 * 720
    expect(framesOf(rates) * MONTH).toBeCloseTo(frames, -3)
    expect(usage.objectRequests).toBeCloseTo(connects + frames / 20 + 40 * 43_200, -3)
    expect(usage.rowsWritten).toBeCloseTo(connects * 11 + 200_000 * 720 * 2 + 40 * 43_200, -3)
    expect(usage.storedGb).toBeCloseTo(0.5, 1)
    // Of a hub: 1.157 connects a second that keep it awake for 0.1 s, and 2% of a processor.
    expect(usage.gbSeconds / (40 * MONTH * 0.128)).toBeCloseTo(1 - Math.exp(-0.1157 - 0.0146), 2)
  })

  it("a limit is met by as many sessions as it says, and the first of them by the fewest", () => {
    for (const workload of [chat, devices, dashboards]) {
      const rates = ratesOf(workload, MILLION, INPUTS)
      const limits = hubLimits(rates.sessions, rates, INPUTS)
      for (const [at, limit] of limits.entries()) {
        const there = hubLimits(sessionsAt(limit, rates.sessions), rates, INPUTS)[at]!
        expect(usedPart(there)).toBeCloseTo(1, 2)
      }
      const first = firstOf(limits)
      const fewest = Math.min(...limits.map((limit) => sessionsAt(limit, rates.sessions)))
      expect(sessionsAt(first, rates.sessions)).toBe(fewest)
      expect(sessionsAHub(rates, INPUTS)).toBe(fewest / 2)
    }
  })

  it("devices meet the limit of requests, as each sends one in 10 s, at peak three times as many", () => {
    const rates = ratesOf({ ...devices, connectsPerDay: 0 }, MILLION, INPUTS)
    const first = firstOf(hubLimits(rates.sessions, rates, INPUTS))
    expect(first.name).toBe("requests")
    // 1,000 / (3 × (0.1 + 1/3600))
    expect(sessionsAt(first, rates.sessions)).toBe(3_324)
  })

  it("never splits a topic", () => {
    const rates = ratesOf({ ...dashboards, topicSize: 20_000 }, MILLION, INPUTS)
    expect(sessionsAHub(rates, INPUTS)).toBe(20_000)
  })

  it("are back after a deploy when their requests were taken", () => {
    // 5,000 sessions, each an upgrade, a connect and a subscription, by 1,000 a second.
    expect(hubReturnSeconds(ratesOf(chat, MILLION, INPUTS), INPUTS)).toBeCloseTo(15, 6)
  })
})

describe("a topic's objects", () => {
  it("are one, until it is full", () => {
    expect(treeOf(100, INPUTS).objects).toBe(1)
    expect(treeOf(101, INPUTS).objects).toBeCloseTo(2, 6)
    expect(treeOf(1_000, INPUTS).objects).toBeCloseTo(101, 0)
    expect(treeOf(MILLION, INPUTS).objects).toBeGreaterThan(10_000)
  })

  it("make six calls at once, each of 10 ms", () => {
    expect(treeOf(1, INPUTS).seconds).toBeCloseTo(0.01, 6)
    expect(treeOf(60, INPUTS).seconds).toBeCloseTo(0.1, 6)
    // 100 members, and one object below with one.
    expect(treeOf(101, INPUTS).seconds).toBeCloseTo(100 / 600 + 0.02 / 6, 6)
  })

  it("carry what comes faster than they can call in the same calls", () => {
    const feeds = (feedsPerMinute: number) => {
      const rates = ratesOf({ ...dashboards, feedsPerMinute }, MILLION, INPUTS)
      const { objectRequests } = gatewayUsage(rates, MILLION, INPUTS)
      // Without the frames of the publishers, and their calls of the topic.
      return objectRequests - rates.publications * MONTH * (1 + 1 / 20)
    }
    expect(feeds(60) / feeds(30)).toBeGreaterThan(1.9)
    expect(feeds(600) / feeds(300)).toBeCloseTo(1, 6)
  })
})

describe("gateways", () => {
  it("a million devices, by hand", () => {
    const usage = gatewayUsage(ratesOf(devices, MILLION, INPUTS), MILLION, INPUTS)
    expect(usage.objects).toBe(MILLION + 1_000 + 16)
    const connects = 2 * 30 * MILLION
    // One in 600 s of each of 900,000, and the end of each session.
    const alarms = 900_000 * 4_320 + connects
    expect(usage.alarms).toBeCloseTo(alarms, -3)
    const messages = 900_000 * 0.1 * MONTH
    const frames = 2 * connects + messages + 900_000 * 720
    expect(usage.objectRequests).toBeCloseTo(connects + frames / 20 + messages + 2 * connects + alarms, -3)
    expect(usage.rowsWritten).toBeCloseTo(connects * (5 + 3 + 7) + 900_000 * (720 * 2 + 4_320), -3)
    expect(usage.storedGb).toBeCloseTo(28.672 + 0.36, 2)
  })

  it("their directory is the first to be full, when everybody registers", () => {
    const at = (identities: number) =>
      firstOf(gatewayLimits(ratesOf(devices, identities, INPUTS), identities, INPUTS))
    expect(at(MILLION).name).toBe("requests of a backend actor")
    expect(at(100 * MILLION).name).toBe("requests of a directory shard")
    // 2 × 2 a day, by 16 shards, at peak three times as many.
    expect(at(100 * MILLION).load).toBeCloseTo((4 * 100 * MILLION * 3) / 86_400 / 16, 6)
  })

  it("are back after a deploy when the directory has them all", () => {
    const rates = ratesOf(devices, 100 * MILLION, INPUTS)
    expect(gatewayReturnSeconds(rates, INPUTS)).toBeCloseTo(90e6 / 16 / 1_000, 6)
  })

  it("nothing is near a limit where nobody shares an object", () => {
    const alone = { ...chat, publishesPerMinute: 0, topicSize: 0 }
    expect(gatewayLimits(ratesOf(alone, MILLION, INPUTS), MILLION, INPUTS)).toEqual([])
    expect(tablesOf({ ...DEFAULT_MODEL, workloads: { alone } }).at(-2)?.lines[2]).toContain("| none | 0% |")
  })
})

it("what a million more cost, by hand", () => {
  const prices = new Map(unitPrices(INPUTS).map(({ name, ...price }) => [name, price]))
  // A twentieth of a request; in a gateway also a call, awaited for 10 ms.
  const messages = prices.get("messages, one to one")
  expect(messages?.hub).toBeCloseTo(0.15 / 20, 3)
  expect(messages?.gateway).toBeCloseTo(0.15 * 1.05 + 0.01 * 0.128 * 12.5, 3)
  expect(prices.get("identities stored for a month")?.gateway).toBeCloseTo(28.672 * 0.2, 3)
  expect(prices.get("hours of an idle session")?.gateway).toBeCloseTo(6 * 1.15, 6)
})

it("more identities never cost less, in either topology", () => {
  const workload = fc.record({
    connected: fc.double({ min: 0.01, max: 1, noNaN: true }),
    connectsPerDay: fc.integer({ min: 0, max: 100 }),
    tellsPerMinute: fc.integer({ min: 0, max: 600 }),
    publishesPerMinute: fc.integer({ min: 0, max: 60 }),
    feedsPerMinute: fc.integer({ min: 0, max: 600 }),
    topicSize: fc.integer({ min: 0, max: 5_000 }),
    registers: fc.integer({ min: 0, max: 3 }),
  })
  const count = fc.integer({ min: 6, max: 16 })
  const topology = fc.constantFrom("hub" as const, "gateway" as const)
  fc.assert(
    fc.property(workload, count, topology, (rates, power, kind) => {
      const [few, many] = [total(kind, rates, 4 ** power), total(kind, rates, 4 ** (power + 1))]
      expect(Number.isFinite(many)).toBe(true)
      expect(many).toBeGreaterThanOrEqual(few)
    }),
    { seed: 5, numRuns: 500 },
  )
})

describe("flags", () => {
  const withFlags = (...args: ReadonlyArray<string>) =>
    modelOf(parseArgs({ args: [...args], options: flagsOf(DEFAULT_MODEL) }).values)

  it("change the number that they name, and no other", () => {
    const { inputs, workloads, identities } = withFlags(
      "--assumed.callMs=30",
      "--chat.connected=0.5",
      "--identities=50000,5e6",
    )
    expect(inputs).toEqual({ ...INPUTS, assumed: { ...INPUTS.assumed, callMs: 30 } })
    expect(workloads).toEqual({ ...WORKLOADS, chat: { ...chat, connected: 0.5 } })
    expect(identities).toEqual([50_000, 5e6])
    expect(withFlags()).toEqual(DEFAULT_MODEL)
  })

  it("say which of them is wrong", () => {
    expect(() => withFlags("--chat.connected=half")).toThrow(
      '--chat.connected takes a number above 0, not "half"',
    )
    expect(() => withFlags("--chat.connected=0")).toThrow("--chat.connected")
    expect(() => withFlags("--prices.subscription=-1")).toThrow("--prices.subscription takes a number from 0")
    expect(() => withFlags("--assumed.callMs=")).toThrow("--assumed.callMs")
    expect(() => withFlags("--identities=1e4,")).toThrow("--identities")
    expect(() => withFlags("--chat.conected=0.5")).toThrow("--chat.conected")
  })
})

it("tables round to three digits, and then take the unit", () => {
  const [row] = tablesOf({ ...DEFAULT_MODEL, identities: [999_999] })[2]!.lines.slice(2)
  expect(row).toMatch(/^\| 1 M \| hub \| 40 \|/)
  for (const { lines } of tablesOf(DEFAULT_MODEL)) {
    const columns = lines.map((line) => line.split(" | ").length)
    expect(new Set(columns).size).toBe(1)
  }
})
