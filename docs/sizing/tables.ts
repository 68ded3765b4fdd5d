/** The model's answers as tables of Markdown, as `docs/actor-design/sizing.md` has them. */
import { billOf, type Usage } from "./Bill.ts"
import { gatewayLimits, gatewayReturnSeconds, gatewayUsage } from "./Gateway.ts"
import { hubLimits, hubReturnSeconds, hubUsage, sessionsAHub, sessionsAt } from "./Hub.ts"
import { type Inputs, SOURCES } from "./Inputs.ts"
import { firstOf, usedPart } from "./Limit.ts"
import type { Model } from "./Model.ts"
import { unitPrices } from "./UnitPrices.ts"
import { ratesOf, type Workload } from "./Workload.ts"

export interface Table {
  readonly title: string
  readonly lines: ReadonlyArray<string>
}

type Cells = ReadonlyArray<string>

const table = (
  title: string,
  head: Cells,
  rows: ReadonlyArray<Cells>,
  content: "numbers" | "text" = "numbers",
): Table => {
  const rule = head.map((_, column) => (column === 0 || content === "text" ? "---" : "--:"))
  return { title, lines: [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`) }
}

const SCALES: ReadonlyArray<readonly [from: number, name: string]> = [
  [1e15, "P"],
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
]

/** Three digits, and what they stand before: `1.23 M`. */
const short = (value: number): string => {
  if (value === 0) return "0"
  // As it will be rounded: 999.9 thousand are a million.
  const rounded = Number(value.toPrecision(3))
  const [from, name] = SCALES.find(([least]) => rounded >= least) ?? [1, ""]
  const digits = Number((rounded / from).toPrecision(3))
  return name === "" ? String(digits) : `${digits} ${name}`
}

const whole = (value: number): string => Math.round(value).toLocaleString("en-US")

const dollars = (value: number): string =>
  value >= 1_000 ? whole(Number(value.toPrecision(3))) : value.toFixed(2)

/** With the digits that small amounts differ in. */
const unitDollars = (value: number): string =>
  value >= 1 ? dollars(value) : String(Number(value.toPrecision(2)))

const percent = (part: number): string => `${Number((part * 100).toPrecision(2)).toLocaleString("en-US")}%`

/** A duration, rounded to what one would say. */
const duration = (seconds: number): string => {
  if (seconds >= 5_400) return `${Number((seconds / 3_600).toPrecision(2))} h`
  if (seconds >= 90) return `${Number((seconds / 60).toPrecision(2))} min`
  return seconds < 1 ? "< 1 s" : `${Number(seconds.toPrecision(2))} s`
}

const unitTable = ({ inputs }: Model): Table =>
  table(
    "What a million more cost, in dollars",
    ["a million", "hub", "gateway"],
    unitPrices(inputs).map(({ name, hub, gateway }) => [name, unitDollars(hub), unitDollars(gateway)]),
  )

const workloadTable = ({ workloads }: Model): Table =>
  table(
    "The workloads",
    [
      "workload",
      "connected",
      "connects a day",
      "to a backend, a minute",
      "published, a minute",
      "fed to each topic, a minute",
      "subscribers of a topic",
      "addresses registered",
    ],
    Object.entries(workloads).map(([name, workload]) => [
      name,
      percent(workload.connected),
      whole(workload.connectsPerDay),
      whole(workload.tellsPerMinute),
      whole(workload.publishesPerMinute),
      whole(workload.feedsPerMinute),
      whole(workload.topicSize),
      whole(workload.registers),
    ]),
  )

const inputsTable = ({ inputs }: Model): Table => {
  const numbers = (group: object): string =>
    Object.entries(group)
      .map(([name, value]) => `\`${name}\` ${Number(value).toLocaleString("en-US")}`)
      .join(", ")
  const row = (group: keyof Inputs): Cells => [`\`${group}\``, numbers(inputs[group]), SOURCES[group]]
  const groups = ["prices", "platform", "ours", "measured", "assumed"] as const
  return table("What the model reckons with", ["group", "numbers", "source"], groups.map(row), "text")
}

const usageRow = (identities: number, topology: string, usage: Usage, { prices }: Inputs): Cells => {
  const bill = billOf(usage, prices)
  return [
    short(identities),
    topology,
    short(Math.ceil(usage.objects)),
    short(usage.objectRequests),
    short(usage.alarms),
    short(usage.rowsWritten),
    dollars(bill.worker + bill.requests),
    dollars(bill.duration),
    dollars(bill.rows),
    dollars(bill.storage),
    dollars(bill.total),
  ]
}

const USAGE_HEAD: Cells = [
  "identities",
  "topology",
  "objects",
  "object requests",
  "alarms",
  "rows written",
  "requests, $",
  "duration, $",
  "rows, $",
  "storage, $",
  "total, $",
]

const usageTable = (name: string, workload: Workload, { inputs, identities }: Model): Table =>
  table(
    `A month of ${name}`,
    USAGE_HEAD,
    identities.flatMap((count) => {
      const rates = ratesOf(workload, count, inputs)
      return [
        usageRow(count, "hub", hubUsage(rates, count, inputs), inputs),
        usageRow(count, "gateway", gatewayUsage(rates, count, inputs), inputs),
      ]
    }),
  )

const hubTable = ({ workloads, inputs, identities }: Model): Table => {
  const largest = Math.max(...identities)
  const all = Object.entries(workloads).map(([name, workload]) => {
    const rates = ratesOf(workload, largest, inputs)
    return { name, rates, limits: hubLimits(rates.sessions, rates, inputs) }
  })
  const names = all[0]?.limits.map((limit) => limit.name) ?? []
  return table(
    "Sessions with which one hub meets a limit",
    ["workload", ...names, "first", "planned", "back after a deploy"],
    all.map(({ name, rates, limits }) => {
      const sessions = limits.map((limit) => whole(sessionsAt(limit, rates.sessions)))
      const planned = whole(sessionsAHub(rates, inputs))
      const back = duration(hubReturnSeconds(rates, inputs))
      return [name].concat(sessions, firstOf(limits).name, planned, back)
    }),
  )
}

const gatewayTable = ({ workloads, inputs, identities }: Model): Table =>
  table(
    "How much of a limit the busiest object of the gateway topology uses",
    ["workload", "identities", "nearest limit", "used at peak", "back after a deploy"],
    Object.entries(workloads).flatMap(([name, workload]) =>
      identities.map((count) => {
        const rates = ratesOf(workload, count, inputs)
        const limits = gatewayLimits(rates, count, inputs)
        const [nearest, used] =
          limits.length === 0 ? ["none", 0] : [firstOf(limits).name, usedPart(firstOf(limits))]
        const back = duration(gatewayReturnSeconds(rates, inputs))
        return [name, short(count), nearest, percent(used), back]
      }),
    ),
  )

export const tablesOf = (model: Model): ReadonlyArray<Table> => [
  unitTable(model),
  workloadTable(model),
  ...Object.entries(model.workloads).map(([name, workload]) => usageTable(name, workload, model)),
  hubTable(model),
  gatewayTable(model),
  inputsTable(model),
]
