/** Requests of clients that may be about somebody at another object: `hub:send`, `hub:watch`, `hub:unwatch`. */
import type { Address } from "@signal-hub/actor-core"
import { readSend, send, sent } from "../features/DeliveryRequests.ts"
import { type Elsewhere, notFound } from "./Elsewhere.ts"
import { likeThat } from "../Outboxes.ts"
import { Refusal } from "../Refusal.ts"
import type { Incoming } from "../Incoming.ts"
import { type Handler, Later } from "../Requests.ts"
import { unknownActor } from "../Router.ts"
import { addWatch, readUnwatch, readWatch, unwatch, watch } from "../features/WatchRequests.ts"
import { addressOf } from "../../session/Session.ts"
import type { Neighbors } from "./Neighbors.ts"
import { CallFailed } from "../../delivery/Rpc.ts"

export const neighborHandlers = (neighbors: Neighbors): Elsewhere["handlers"] => ({
  "hub:send": sendAnywhere(neighbors),
  "hub:watch": watchAnywhere(neighbors),
  "hub:unwatch": unwatchAnywhere(neighbors),
})

/** Why a call failed, as the refusal of the request that needed it. */
export const refusalOf = ({ code, message }: CallFailed): Refusal =>
  new Refusal(code === "actor_failed" ? "internal_error" : code, message)

/** Sends on behalf of the sender, and says whether it arrived. */
const sendAnywhere =
  (neighbors: Neighbors): Handler =>
  (request) => {
    const { hub, envelope, from, now } = request
    const copy = likeThat(readSend(request), envelope)
    if (hub.resolve(copy.to, now) !== undefined || !neighbors.leads(copy.to)) return send(request)
    refuseUnfound(neighbors, from)
    if (envelope.pattern === "tell" || copy.seq !== undefined) {
      neighbors.send(copy, now)
      // What is reliable is stored: should it be refused, that is told, too.
      return copy.seq === undefined || envelope.pattern === "tell" ? undefined : sent(request, now, "queued")
    }
    return new Later((settle) =>
      neighbors.outbound.deliver({ envelope: copy }, now, (failed) =>
        settle((later) => {
          if (failed === undefined) return sent(later, later.now)
          const { code, message } = failed
          if (code !== "unknown_actor") {
            throw new Refusal(
              code === "actor_failed" || code === "not_subscribed" ? "actor_terminated" : code,
              message,
            )
          }
          return unknown(later, copy.to)
        }),
      ),
    )
  }

const unknown = (request: Incoming, to: Address.Address): undefined => {
  unknownActor(request, to)
  return undefined
}

/** The watch is known here before it is elsewhere: what is told meanwhile is not missed. */
const watchAnywhere =
  (neighbors: Neighbors): Handler =>
  (request) => {
    const { hub, session, now } = request
    const actorAddress = readWatch(request)
    const isHere = actorAddress === session.identity || hub.registry.holder(actorAddress, now) !== undefined
    if (isHere || !neighbors.leads(actorAddress)) return watch(request)
    const watcher = addressOf(session)
    refuseUnfound(neighbors, watcher)
    addWatch(request, actorAddress)
    const watched = watchedBy(watcher, actorAddress)
    neighbors.watching.set(watched, request)
    return new Later((settle) => {
      const watching = (found: boolean | void | CallFailed): void => {
        // What was asked for since has its own answer.
        const isLast = neighbors.watching.get(watched) === request
        if (isLast) neighbors.watching.delete(watched)
        // Whose watch is over already is told of the end next.
        const hasEnded = isLast && found !== true && !hub.watches.remove(actorAddress, session)
        settle(() => {
          if (found instanceof CallFailed && !hasEnded) throw refusalOf(found)
          return { payload: { actorAddress, registered: found === true || hasEnded } }
        })
      }
      // The gateway of that name first, then the directory, as for all that is sent there.
      neighbors.control(actorAddress, "watch", [actorAddress, watcher]).whenDone((registered) => {
        if (registered !== false || !neighbors.port.isIdentity(actorAddress)) watching(registered)
        else neighbors.watches("watch", actorAddress, watcher).whenDone(watching)
      })
    })
  }

const unwatchAnywhere =
  (neighbors: Neighbors): Handler =>
  (request) => {
    const watcher = addressOf(request.session)
    const target = readUnwatch(request)
    neighbors.watching.delete(watchedBy(watcher, target))
    neighbors.unwatched(watcher, [target])
    return unwatch(request)
  }

const watchedBy = (watcher: Address.Address, target: Address.Address): string => `${watcher} ${target}`

/** Who can't be found from elsewhere could not hear what becomes of it. */
const refuseUnfound = (neighbors: Neighbors, from: Address.Address): void => {
  if (!neighbors.isFound(from)) throw new Refusal("forbidden", notFound(from))
}
