/** A deliberate fault: a change of our code that brings back a known one. */
export interface Mutation {
  /** Its number. */
  readonly fault: number
  /** What it is like with the mutation, in words. */
  readonly breaks: string
  /** The file that is changed, below `packages`. */
  readonly file: string
  /** Texts that each stand in the file exactly once, and what takes their place. */
  readonly edits: ReadonlyArray<readonly [find: string, replace: string]>
  /** The test file that must go red, below `packages`; tests of the fault are named `fault NN: …`. */
  readonly test: string
}

/** Whether a test of this name, with those of its groups, is about the fault: by `fault NN`, `faults NN, MM`. */
export const namesFault = (fault: number): RegExp => new RegExp(`\\bfaults? (\\d+, )*${fault}\\b`)
