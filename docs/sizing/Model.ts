/** All that the tables are made of, and how flags change it. */
import { type Inputs, INPUTS } from "./Inputs.ts"
import { type Workload, WORKLOADS } from "./Workload.ts"

export interface Model {
  readonly inputs: Inputs
  readonly workloads: { readonly [name: string]: Workload }
  readonly identities: ReadonlyArray<number>
}

export const DEFAULT_MODEL: Model = { inputs: INPUTS, workloads: WORKLOADS, identities: [1e4, 1e6, 1e8] }

const namesOf = ({ inputs, workloads }: Model): ReadonlyArray<string> => {
  const groups: ReadonlyArray<readonly [string, object]> = [
    ...Object.entries(inputs),
    ...Object.entries(workloads),
  ]
  return groups.flatMap(([group, numbers]) => Object.keys(numbers).map((name) => `${group}.${name}`))
}

/** A flag for each number, by its group and name, as `parseArgs` wants them. */
export const flagsOf = (model: Model): { readonly [flag: string]: { readonly type: "string" } } =>
  Object.fromEntries([...namesOf(model), "identities"].map((flag) => [flag, { type: "string" }]))

export type Flags = { readonly [flag: string]: unknown }

/** What is divided by: nobody, or nobody connected, is no deployment. */
const POSITIVE = /\.connected$|^identities$/

const numberIn = (flag: string, text: string): number => {
  const value = Number(text)
  const isTooSmall = POSITIVE.test(flag) ? value <= 0 : value < 0
  if (text.trim() === "" || !Number.isFinite(value) || isTooSmall) {
    throw new Error(`--${flag} takes a number ${POSITIVE.test(flag) ? "above" : "from"} 0, not "${text}"`)
  }
  return value
}

/** The group with what flags say of its numbers. */
const changed = <Group extends object>(name: string, group: Group, flags: Flags): Group => {
  const changes: { [name: string]: number } = {}
  for (const key of Object.keys(group)) {
    const text = flags[`${name}.${key}`]
    if (text !== undefined) changes[key] = numberIn(`${name}.${key}`, String(text))
  }
  return { ...group, ...changes }
}

/** The model as flags want it. Throws, with the flag, where one is no number. */
export const modelOf = (flags: Flags, { inputs, workloads, identities }: Model = DEFAULT_MODEL): Model => ({
  inputs: {
    prices: changed("prices", inputs.prices, flags),
    platform: changed("platform", inputs.platform, flags),
    ours: changed("ours", inputs.ours, flags),
    measured: changed("measured", inputs.measured, flags),
    assumed: changed("assumed", inputs.assumed, flags),
  },
  workloads: Object.fromEntries(
    Object.entries(workloads).map(([name, workload]) => [name, changed(name, workload, flags)]),
  ),
  identities:
    flags.identities === undefined
      ? identities
      : String(flags.identities)
          .split(",")
          .map((text) => numberIn("identities", text)),
})
