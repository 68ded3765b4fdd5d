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
  /**
   * The median of `value / baseline` over the slices that lay side by side, which a machine that is now
   * busy, now idle disturbs less than it does the two medians.
   */
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
export const TIME_LIMIT = 60_000

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
  /** By slice: what its subjects yielded, by name. */
  const figures: Array<Map<string, Figures>> = []
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
        const sideBySide = new Map<string, Figures>()
        figures.push(sideBySide)
        for (let i = 0; i < ready.length; i++) {
          const [subject, probe] = ready[(i + round + slice) % ready.length]!
          await attempt(subject, async () => {
            sideBySide.set(subject.name, await probe.slice())
          })
        }
      }
    }
  }
  const rows: Array<Row> = []
  for (const [metric, unit] of Object.entries(suite.units)) {
    const valuesOf = (name: string) => figures.flatMap((slice) => slice.get(name)?.[metric] ?? [])
    const ofBaseline = valuesOf(suite.baseline)
    const baseline = ofBaseline.length === 0 ? null : median(ofBaseline)
    for (const { name: subject } of chosen) {
      const values = valuesOf(subject)
      if (values.length === 0) continue
      const ratios = figures.flatMap((slice) => {
        const [value, base] = [slice.get(subject)?.[metric], slice.get(suite.baseline)?.[metric]]
        return value === undefined || base === undefined ? [] : value / base
      })
      const ratio = ratios.length === 0 ? null : median(ratios)
      rows.push({ suite: suite.name, metric, subject, unit, value: median(values), baseline, ratio })
    }
  }
  return { rows, failures }
}

/** Rejects where the task takes longer. */
export const within = async <A>(ms: number, task: Promise<A>): Promise<A> => {
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
