/** Faults of the client: what it resends, forgets, drops and ends. */
import { client, type Mutant } from "./Mutant.ts"

export const CLIENT: ReadonlyArray<Mutant> = [
  {
    breaks: "an envelope is acknowledged before anything takes it",
    file: client("Inbox"),
    edits: [
      [
        "firstWaiting === undefined ? this.#acks.arrived : firstWaiting - 1",
        "this.#acks.arrived + 0 * (firstWaiting ?? 0)",
      ],
    ],
  },
  {
    breaks: "envelopes that waited are given to the actor in another order",
    file: client("Receivers"),
    edits: [
      [
        "for (const entry of this.#waiting) {\n      const { to }",
        "for (const entry of this.#waiting.toReversed()) {\n      const { to }",
      ],
    ],
  },
  {
    breaks: "an envelope that waited is given to the actor each time",
    file: client("Receivers"),
    edits: [
      [
        "else if (this.#offer(envelope)) this.#remove(entry)",
        "else if (this.#offer(envelope)) this.#isMoreToOffer = false",
      ],
    ],
  },
  {
    breaks: "what is not acknowledged is not sent again",
    file: client("Unacknowledged"),
    edits: [["this.#rest = this.#oldestAt", "this.#rest = this.#sent.length"]],
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
    edits: [["    this.arrived = through\n    this.through = through\n", "    this.through = through\n"]],
  },
  {
    breaks: "what the hub has when it takes up a session counts as acknowledged",
    file: client("Unacknowledged"),
    edits: [["    this.#has = through\n", "    this.acknowledge(through)\n"]],
  },
]
