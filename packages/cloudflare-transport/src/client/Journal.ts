/** placeholder */
import type { Resume as ResumeRequest } from "../protocol/HubMessage.ts"
import type { Waiting } from "./SendQueue.ts"
export interface Journal {
  session(ticket: Omit<ResumeRequest, "lastSeq"> | undefined): void
  taken(lastSeq: number): void
  keep(waiting: Waiting): void
  drop(id: string): void
  stored(then: () => void): void
}
