/** A deliberate fault: a change of our code that brings back a row of the fault list. */
export interface Mutation {
  /** The row of the fault list. */
  readonly fault: number
  /** What the mutation breaks, in words. */
  readonly breaks: string
  readonly package: "actor-core" | "cloudflare-transport"
  /** The file below the package's `src`. */
  readonly file: string
  /** Text that stands in the file exactly once, and what takes its place. */
  readonly find: string
  readonly replace: string
  /** The test file below the package's `test` that must go red; its tests are named `fault NN: …`. */
  readonly test: string
}
