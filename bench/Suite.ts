/** What a suite is, what it yields, and the rounds in which its subjects are measured in turn. */
import { median } from "./lib/statistics.ts"

/** One figure of one subject. */
export interface Row {
  readonly suite: string
  readonly metric: string
  readonly subject: string
  readonly unit: string
  readonly value: number
  /** The baseline subject's value in the same run, or `null` where it has none. */
  readonly baseline: number | null
  /** `value / baseline`. */
  readonly ratio: number | null
}

export interface Options {
  readonly rounds: number
  /** Names of the only subjects to measure; all where empty. The baseline is measured regardless. */
  readonly only: ReadonlyArray<string>
  /** Says how far it is. */
  readonly log: (line: string) => void
}

export interface Outcome {
  readonly rows: ReadonlyArray<Row>
  /** What could not be measured, and why. */
  readonly failures: ReadonlyArray<string>
}

export interface Suite {
  readonly name: string
  /** The subject to which the ratios are. */
  readonly baseline: string
  readonly run: (options: Options) => Promise<Outcome>
}

/** Figures of one subject, by metric. */
export type Figures = Readonly<Record<string, number>>

/** One subject made ready to be measured, warmed up, and idle until its slice comes. */
export interface Probe extends AsyncDisposable {
  readonly slice: () => Promise<Figures>
}

/** One way to measure. */
export interface Measure<S> {
  readonly name: string
  /** How often each subject has its turn in a round. */
  readonly slices: number
  readonly prepare: (subject: S) => Promise<Probe>
}

/** Longer than any step takes: what is lost on the way must not hang the run. */
const TIME_LIMIT = 60_000

/**
 * Measures every subject in every way, round after round, and gives the medians. In a round the
 * subjects are all made ready, then have their slices in turn, each time in another order: whatever
 * else the machine does, which on few processors decides how fast a sleeping process wakes, meets all
 * of them alike.
 */
export const inTurn = async <S extends { readonly name: string }>(
  suite: Pick<Suite, "name" | "baseline"> & { readonly units: Readonly<Record<string, string>> },
  subjects: ReadonlyArray<S>,
  measures: ReadonlyArray<Measure<S>>,
  options: Options,
): Promise<Outcome> => {
  const figures: Array<readonly [subject: string, figures: Figures]> = []
  const failures: Array<string> = []
  const chosen = subjects.filter(
    ({ name }) => options.only.length === 0 || options.only.includes(name) || name === suite.baseline,
  )
  for (let round = 0; round < options.rounds; round++) {
    for (const measure of measures) {
      await using stack = new AsyncDisposableStack()
      const ready: Array<readonly [subject: S, probe: Probe]> = []
      const attempt = async (subject: S, step: () => Promise<void>) => {
        try {
          await within(TIME_LIMIT, step())
        } catch (error) {
          failures.push(`${measure.name} of ${subject.name}: ${String(error)}`)
        }
      }
      for (const subject of chosen) {
        options.log(`round ${round + 1}/${options.rounds}: ${measure.name} of ${subject.name}`)
        await attempt(subject, async () => {
          ready.push([subject, stack.use(await measure.prepare(subject))])
        })
      }
      for (let slice = 0; slice < measure.slices; slice++) {
        for (let i = 0; i < ready.length; i++) {
          const [subject, probe] = ready[(i + round + slice) % ready.length]!
          await attempt(subject, async () => {
            figures.push([subject.name, await probe.slice()])
          })
        }
      }
    }
  }
  const valueOf = (metric: string, subject: string): number | null => {
    const values = figures.flatMap(([name, of]) => (name === subject ? (of[metric] ?? []) : []))
    return values.length === 0 ? null : median(values)
  }
  const rows: Array<Row> = []
  for (const [metric, unit] of Object.entries(suite.units)) {
    const baseline = valueOf(metric, suite.baseline)
    for (const { name: subject } of chosen) {
      const value = valueOf(metric, subject)
      if (value === null) continue
      const ratio = baseline === null ? null : value / baseline
      rows.push({ suite: suite.name, metric, subject, unit, value, baseline, ratio })
    }
  }
  return { rows, failures }
}

const within = async <A>(ms: number, task: Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${ms / 1_000} s`)), ms)
  })
  try {
    return await Promise.race([task, late])
  } finally {
    clearTimeout(timer)
  }
}
