/** The faults of which `npm run chaos -- --mutants` must notice each. */
import { hub, type Mutant, session } from "../simulation/mutations/Mutant.ts"

export const MUTANTS: ReadonlyArray<Mutant> = [
  {
    breaks: "acknowledged before it is stored",
    file: session("Outbox"),
    edits: [
      [
        "this.#rows.insert(chunk, row, receivedAt)",
        "if (chunk.first === null) this.#rows.insert(chunk, row, receivedAt)",
      ],
    ],
  },
  {
    breaks: "a resume does not rewind",
    file: hub("session/Resumption"),
    edits: [["outbox.rewind()", ""]],
  },
  {
    breaks: "what was taken is not stored",
    file: session("Sessions"),
    edits: [["UPDATE session SET in_seq = ?,", "UPDATE session SET in_seq = 0 * ?,"]],
  },
  {
    breaks: "a takeover hands nothing over",
    file: hub("Outboxes"),
    edits: [["if (passing.length > 0) this.of(winner).adopt(passing)", ""]],
  },
  {
    breaks: "the winner's live messages overtake what was the loser's",
    file: session("Outbox"),
    edits: [["this.#session.replayed ??= this.#last", ""]],
  },
]
