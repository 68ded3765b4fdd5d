/** Dead letters as a stream. Apart, as most programs count them or listen, and streams are a library. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { type DeadLetter, type DeadLetters, DEFAULT_CAPACITY } from "./DeadLetters.ts"

/** Each from now on; a reader that falls `DEFAULT_CAPACITY` behind misses the oldest. Ends with the system. */
export const stream = (deadLetters: DeadLetters): Stream.Stream<DeadLetter> =>
  Stream.callback<DeadLetter>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const end = () => Queue.endUnsafe(queue)
          return deadLetters.subscribe((letter) => Queue.offerUnsafe(queue, letter), end)
        }),
        (unsubscribe) => Effect.sync(unsubscribe),
      ),
    { bufferSize: DEFAULT_CAPACITY, strategy: "sliding" },
  )
