/** The mutations of the actor runtime and of the scripts around it. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const NESTING = "actor-core/test/Nesting.test.ts"

export const RUNTIME_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 63,
    breaks: "what the end of an actor leads to runs in its stack",
    file: "actor-core/src/Trampoline.ts",
    edits: [["else this.#given.push(task)", "else task()"]],
    test: NESTING,
  },
  {
    fault: 63,
    breaks: "an actor's parent goes on in the stack in which its child has ended",
    file: "actor-core/src/Ending.ts",
    edits: [["cell.runtime.endings.give(() => resume(Effect.void))", "resume(Effect.void)"]],
    test: NESTING,
  },
]
