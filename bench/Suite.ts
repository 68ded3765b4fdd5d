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

/** One procedure that yields the figures of one subject, by metric. */
export interface Measure<S> {
  readonly name: string
  readonly subjects: ReadonlyArray<S>
  readonly run: (subject: S) => Promise<Readonly<Record<string, number>>>
}

/** Longer than any measurement takes: what is lost on the way must not hang the run. */
const TIME_LIMIT = 60_000

/**
 * Runs every measure with every subject, round after round, and gives the medians. The subjects of a
 * measure follow one another directly and in another order each round, so that whatever else the
 * machine does meets all of them alike.
 */
export const inTurn = async <S extends { readonly name: string }>(
  suite: {
    readonly name: string
    readonly baseline: string
    readonly units: Readonly<Record<string, string>>
  },
  measures: ReadonlyArray<Measure<S>>,
  options: Options,
): Promise<Outcome> => {
  const values = new Map<string, Map<string, Array<number>>>()
  const failures: Array<string> = []
  for (let round = 0; round < options.rounds; round++) {
    for (const measure of measures) {
      const subjects = measure.subjects.filter(
        ({ name }) => options.only.length === 0 || options.only.includes(name) || name === suite.baseline,
      )
      for (let i = 0; i < subjects.length; i++) {
        const subject = subjects[(i + round) % subjects.length]!
        options.log(`round ${round + 1}/${options.rounds}: ${measure.name} of ${subject.name}`)
        try {
          const figures = await within(TIME_LIMIT, measure.run(subject))
          for (const [metric, value] of Object.entries(figures)) {
            const ofMetric = values.get(metric) ?? new Map<string, Array<number>>()
            values.set(metric, ofMetric)
            ofMetric.set(subject.name, [...(ofMetric.get(subject.name) ?? []), value])
          }
        } catch (error) {
          failures.push(`${measure.name} of ${subject.name}: ${String(error)}`)
        }
      }
    }
  }
  const rows: Array<Row> = []
  for (const [metric, unit] of Object.entries(suite.units)) {
    const ofMetric = values.get(metric)
    if (ofMetric === undefined) continue
    const ofBaseline = ofMetric.get(suite.baseline)
    const baseline = ofBaseline === undefined ? null : median(ofBaseline)
    for (const [subject, ofSubject] of [...ofMetric].toSorted(([a], [b]) => order(a) - order(b))) {
      const value = median(ofSubject)
      const ratio = baseline === null ? null : value / baseline
      rows.push({ suite: suite.name, metric, subject, unit, value, baseline, ratio })
    }
  }
  return { rows, failures }

  function order(name: string): number {
    return measures.flatMap(({ subjects }) => subjects).findIndex((subject) => subject.name === name)
  }
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
