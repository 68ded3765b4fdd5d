/** The mutations that `npm run faults` tries, a row or more of the fault list each. */
import type { Mutation } from "./Mutation.ts"

export const MUTATIONS: ReadonlyArray<Mutation> = []
