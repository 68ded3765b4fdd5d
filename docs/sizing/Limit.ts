/** How near something is to the most that it can be. */
export interface Limit {
  readonly name: string
  /** At the busiest minute, in the unit of `most`. */
  readonly load: number
  readonly most: number
}

/** 1: the limit is met. */
export const usedPart = ({ load, most }: Limit): number => load / most

/** The limit that is met first as load grows. */
export const firstOf = (limits: ReadonlyArray<Limit>): Limit =>
  limits.reduce((first, next) => (usedPart(next) > usedPart(first) ? next : first))
