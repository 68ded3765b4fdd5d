/** Faults of numbers, acknowledgments and outboxes in the hub. */
import { hub, type Mutant, session } from "./Mutant.ts"

export const SEQUENCES: ReadonlyArray<Mutant> = [
  {
    breaks: "after an eviction it is forgotten what was taken",
    file: session("Sessions"),
    edits: [["incoming: new InSequence(row.in_seq)", "incoming: new InSequence(0)"]],
  },
  {
    breaks: "the number of what was taken is acknowledged and not stored",
    file: hub("Sequences"),
    edits: [["this.#sessions.saveSequences(session)", ""]],
  },
  {
    breaks: "what is sent reliably is acknowledged before it is a row",
    file: hub("Sequences"),
    edits: [["session.outbox?.write(this.#sessions.connectionOf(session))", "void session"]],
  },
  {
    breaks: "what is live overtakes what is replayed",
    file: session("Outbox"),
    edits: [
      [
        "const live = connection !== undefined && this.#session.replayed === null",
        "const live = connection !== undefined",
      ],
    ],
  },
  {
    breaks: "a resumed session replays nothing",
    file: hub("session/Resumption"),
    edits: [["outbox.rewind()", ""]],
  },
  {
    breaks: "numbers that waiting envelopes are given are not stored",
    file: session("Outbox"),
    edits: [["this.#rows.update(chunk, row)", "this.#rows.update({ ...chunk, first: null }, row)"]],
  },
  {
    breaks: "after an eviction numbers begin at what is acknowledged",
    file: session("Outbox"),
    edits: [["else this.#last = lastOf(chunk)\n", "\n"]],
  },
  {
    breaks: "after an eviction rows are written over those that wait",
    file: session("Outbox"),
    edits: [["this.#position = chunk.position\n      this.#bytes", "this.#bytes"]],
  },
  {
    breaks: "an acknowledgment deletes what comes after it, too",
    file: session("Outbox"),
    edits: [
      ["if (chunk.first === null || lastOf(chunk) > through) break", "if (chunk.first === null) break"],
    ],
  },
  {
    breaks: "what was acknowledged is kept, and replayed",
    file: session("Outbox"),
    edits: [
      ["if (gone === 0) return\n", "if (gone >= 0) return\n"],
      [".filter(({ seq }) => seq! > session.outAcked)", ""],
      [".filter(({ envelope: { seq } }) => seq === undefined || seq > this.#session.outAcked)", ""],
    ],
  },
  {
    breaks: "what is reliable is lost while its receiver has no connection",
    file: hub("HubState"),
    edits: [["    if (isReliable) {", "    if (isReliable && connection !== undefined) {"]],
  },
  {
    breaks: "what came behind a missing number is taken",
    file: session("InSequence"),
    edits: [
      ['if (seq > this.arrived + 1) return "gap"', ""],
      ["this.arrived = seq\n", "this.arrived = seq + 1\n"],
    ],
  },
  {
    breaks: "the number of what waited is stored later than its effects",
    file: hub("HubCore"),
    edits: [["        state.sequences.moved(session)\n", ""]],
  },
  {
    breaks: "a receipt overtakes the refusals that are still replayed",
    file: hub("Sequences"),
    edits: [["incoming.isDue && replayed === null", "incoming.isDue || replayed === 0"]],
  },
]
