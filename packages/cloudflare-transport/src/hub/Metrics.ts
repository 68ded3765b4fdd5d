/** What a hub counts about itself, since its memory began. */
export class Metrics {
  readonly #since: number
  messagesReceived = 0
  messagesSent = 0
  errors = 0
  connectionsOpened = 0
  connectionsClosed = 0
  deadLetters = 0
  /** Copies that slow readers missed; dead letters too. */
  dropped = 0

  constructor(since: number) {
    this.#since = since
  }

  snapshot(now: number): { readonly [metric: string]: number } {
    return {
      messages_received: this.messagesReceived,
      messages_sent: this.messagesSent,
      errors: this.errors,
      connections_opened: this.connectionsOpened,
      connections_closed: this.connectionsClosed,
      dead_letters: this.deadLetters,
      dropped: this.dropped,
      windowStart: this.#since,
      timestamp: now,
    }
  }
}
