/** Faults of the client: what it resends, forgets, drops and ends. */
import { client, type Mutant } from "./Mutant.ts"

export const CLIENT: ReadonlyArray<Mutant> = [
  {
    breaks: "what is not acknowledged is not sent again",
    file: client("Unacknowledged"),
    edits: [["this.#rest = Math.max(0, this.#has", "this.#rest = Math.max(this.#sent.length, this.#has"]],
  },
  {
    breaks: "an acknowledgment is one of all that was sent",
    file: client("Unacknowledged"),
    edits: [["this.#sent.splice(0, through - first + 1)", "this.#sent.splice(0)"]],
  },
  {
    breaks: "what is lost with a session is told to nobody",
    file: client("Resume"),
    edits: [["if (envelopes.length === 0) return", "if (envelopes.length >= 0) return"]],
  },
  {
    breaks: "reliable asks do not end with their session",
    file: client("PendingAsks"),
    edits: [["if (ask.deadline < this.#armedFor) this.#arm(ask.deadline)", ""]],
  },
  {
    breaks: "a new session goes on with the old one's numbers",
    file: client("Acks"),
    edits: [["  reset(): void {\n    this.through = 0", "  reset(): void {"]],
  },
  {
    breaks: "what the hub has when it takes up a session counts as acknowledged",
    file: client("Unacknowledged"),
    edits: [["    this.#has = through\n", "    this.acknowledge(through)\n"]],
  },
]
