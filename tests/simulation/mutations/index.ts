/** All faults that `npm run simulate:mutants` tries. */
import { CLIENT } from "./client.ts"
import type { Mutant } from "./Mutant.ts"
import { ENDS } from "./ends.ts"
import { SEQUENCES } from "./sequences.ts"
import { TAKEOVER } from "./takeover.ts"

export type { Mutant }

export const MUTANTS: ReadonlyArray<Mutant> = [...SEQUENCES, ...TAKEOVER, ...ENDS, ...CLIENT]
